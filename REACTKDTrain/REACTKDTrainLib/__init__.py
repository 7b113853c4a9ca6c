"""Training for REACTKD: cohorts, low dose, the training engine and evaluation. Never imports slicer, vtk or qt."""
