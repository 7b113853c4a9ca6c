"""What a training step sees of a case: its images and regions, as they are or augmented."""
