"""Cohorts: sources of cases, with one common interface."""
