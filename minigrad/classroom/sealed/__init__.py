"""What runs in the process of a student's code while a class is graded, and nothing else.

`runner.py` and what it needs are run by a fresh interpreter that has this folder on its path and imports nothing of the
rest of the package: it knows no task, no seed and nothing that is right.  `attempt.py` serves `check` as well, so that a notebook and
the grader ask an answer in the same way.
"""
