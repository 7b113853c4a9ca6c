"""Distillation of teachers into the student: methods, losses, the graph of regions."""
