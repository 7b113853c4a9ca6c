"""Safe writing of files: atomic replacement, locks, and cleanup after interrupted processes."""
