"""What readers said of the cases of a list, in a file beside it."""
