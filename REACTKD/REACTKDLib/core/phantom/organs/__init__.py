"""The body of the phantom's second edition, organ by organ; nothing in it depends on the grade."""
