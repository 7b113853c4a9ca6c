"""The teacher, the student with its graph, and their outputs."""
