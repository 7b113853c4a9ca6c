"""Figures and tables, one way to write each."""
