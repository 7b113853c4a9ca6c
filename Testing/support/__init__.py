"""Small made-up cases and models that several test files share."""
