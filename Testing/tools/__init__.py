"""Scripts for maintenance: set-up, test runner, generated lists and pages."""
