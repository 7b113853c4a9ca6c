"""What the student learns from the teachers: logits, and the graph of regions."""
