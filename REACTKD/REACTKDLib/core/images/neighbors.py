"""Connectivity: voxels are neighbors if they share a face, an edge or a corner."""

from __future__ import annotations

from itertools import product

import numpy as np

#: (3, 3, 3) bool, the structure of `scipy.ndimage.label` and of dilations by one voxel
CONNECTED = np.ones((3, 3, 3), dtype=bool)
#: offsets (k, j, i) to 13 of the 26 neighbors, one of each opposite pair
HALF_OF_NEIGHBORS = [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
