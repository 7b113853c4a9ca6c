"""A training run: its settings, stages, folds and results."""
