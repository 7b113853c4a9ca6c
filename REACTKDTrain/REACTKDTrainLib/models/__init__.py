"""The teacher, the student with its region graph, and their outputs."""
