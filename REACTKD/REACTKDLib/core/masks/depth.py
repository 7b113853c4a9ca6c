"""The depth of voxels below the surface of a mask, in mm."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.images.geometry import bounding_box


def signed_depth(mask: np.ndarray, spacing_kji: np.ndarray) -> np.ndarray:
    """Return the depth below the surface of a mask, positive inside, by exact Euclidean distances between voxel
    centers.

    Args:
        mask: bool (D, H, W), at least one voxel true; everything beyond the array counts as outside.
        spacing_kji: (3,) mm along these axes. The surface is taken half a mean voxel outside the outermost voxel
            centers.

    Returns:
        (D, H, W) float64, mm.
    """
    from scipy.ndimage import distance_transform_edt

    half = float(np.mean(spacing_kji)) / 2
    depth = np.zeros(mask.shape) if mask.all() else half - distance_transform_edt(~mask, sampling=spacing_kji)
    box = bounding_box(mask)
    part = mask[box]
    # the nearest voxel outside lies at most one voxel beyond the smallest box, so the rest is not searched
    inside = distance_transform_edt(np.pad(part, 1), sampling=spacing_kji)[1:-1, 1:-1, 1:-1]
    np.copyto(depth[box], inside - half, where=part)
    return depth
