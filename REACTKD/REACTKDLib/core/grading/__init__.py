"""Grading: a case is encoded once, then graded again whenever its masks change."""
