"""The teacher, and the student as training runs it."""
