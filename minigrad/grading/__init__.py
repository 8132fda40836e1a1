"""Grading a class: from a folder of strangers' notebooks to scores that can be trusted, a reason for each, and feedback."""

WITH_LIBRARY = frozenset({"05", "06", "07"})  # sets about using minigrad; in the others students write what it does
