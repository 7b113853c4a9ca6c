"""One training from beginning to end, and its folder."""
