"""Helpers shared by several test files: small synthetic cases, models and files."""
