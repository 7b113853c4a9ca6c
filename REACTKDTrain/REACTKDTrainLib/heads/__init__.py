"""Training of heads on node vectors: teachers and students of thousands of cases, in seconds; no image is encoded."""
