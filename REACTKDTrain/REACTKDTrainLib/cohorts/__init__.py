"""Cohorts: where patients come from, behind one interface."""
