"""Training and evaluation of the shipped student."""
