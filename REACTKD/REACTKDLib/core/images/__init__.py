"""Volumes and their geometry, the case that holds them, and the values of CT and PET."""
