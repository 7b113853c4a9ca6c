"""Prepared cases and their store, perturbed masks, augmentation, and the views that networks receive."""
