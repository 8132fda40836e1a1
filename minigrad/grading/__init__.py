"""Grading a class: from a folder of strangers' notebooks to scores that can be trusted, a reason for each, and feedback."""
