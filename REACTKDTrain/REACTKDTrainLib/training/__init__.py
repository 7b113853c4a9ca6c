"""A training run: its settings, stages, folds and outputs."""
