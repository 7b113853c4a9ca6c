"""Evaluation: measures of predictions, their intervals, and tests."""
