"""The user interface in Slicer: connects widgets with the scene, and asks questions. No computation."""
