"""Grading: a case is encoded once, then graded as often as its masks change."""
