"""Training for REACTKD: cohorts, low dose, the training engine and evaluation. Never imports slicer, vtk or qt."""

import sys

from REACTKDTrainLib import moved

if moved.FINDER not in sys.meta_path:
    sys.meta_path.append(moved.FINDER)
