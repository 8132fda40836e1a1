"""What runs in the process of a student's code while a class is graded, and nothing else.

A fresh interpreter loads this folder as a package of its own, `sealed`, and nothing of what lies around it: it knows no task,
no seed and nothing that is right.  `attempt.py` serves `check` as well, so that a notebook and the grader ask an answer in the
same way.
"""
