"""Prepared cases, their store, masks of other annotators, augmentation, and what a network sees of a case."""
