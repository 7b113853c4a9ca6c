"""The two stages: teachers first, then the student."""
