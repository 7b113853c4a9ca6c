"""The review: results and readers' marks for the cases of a list, in a file beside it."""
