"""The commands of `python -m REACTKDLib`, one file each: arguments to core and back, no computation."""
