"""Check of an image's orientation against its header, using anatomy: the liver lies on the patient's right, below the
lungs and in front of the spine.

Headers of public data sets are not always correct: LiTS stores its cases in several orientations, some with wrong
headers. Training on a flipped case gives no error, so the image itself is checked. Discrepancies are reported, never
corrected.
"""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.images.geometry import to_ras_order
from REACTKDLib.core.images.volume import Volume

BODY_HU, LUNG_HU, BONE_HU = -300.0, (-930.0, -600.0), 300.0
SIDE_MM, DEEP_MM = 10.0, 10.0  # smaller offsets are not conclusive
LEAST_ML = 30.0  # of lung or bone; with less, the check is skipped
STEP_MM = 3.0  # coarse enough for a tenth of a second per scan, without missing anything


def disagreements(ct: Volume, liver: np.ndarray) -> list[str]:
    """Return the discrepancies between image and header as texts; empty if there are none or they cannot be determined.

    ct: HU. liver: bool, on the same grid.
    """
    hu, where = to_ras_order(ct.array, ct.ijk_to_ras)
    mask, _ = to_ras_order(liver, ct.ijk_to_ras)
    spacing = np.linalg.norm(where[:3, :3], axis=0)[::-1]
    every = tuple(slice(None, None, max(1, int(STEP_MM / s))) for s in spacing)
    hu, mask = hu[every], mask[every]
    spacing = spacing * [s.step for s in every]
    body = _body(hu)
    if not mask.any() or not body.any():
        return []
    voxel_ml = float(np.prod(spacing)) / 1000
    center, around = (_center(m) * spacing for m in (mask, body))  # superior, anterior, right
    found = []
    if center[2] < around[2] - SIDE_MM:
        found.append("the liver lies on the patient's left")
    lung = _eroded(body & (hu > LUNG_HU[0]) & (hu < LUNG_HU[1]))
    if lung.sum() * voxel_ml > LEAST_ML and _center(lung)[0] * spacing[0] < center[0]:
        found.append("the lungs lie below the liver")
    bone = body & (hu > BONE_HU)
    if bone.sum() * voxel_ml > LEAST_ML and _center(bone)[1] * spacing[1] > around[1] + DEEP_MM:
        found.append("most bone lies in front")
    return found


def _body(hu: np.ndarray) -> np.ndarray:
    """Return for each slice the region enclosed by the largest piece of tissue: with the lungs, without the table."""
    from scipy import ndimage

    body = np.zeros(hu.shape, dtype=bool)
    for k, plane in enumerate(hu > BODY_HU):
        labels, count = ndimage.label(plane)
        if count:
            largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
            body[k] = ndimage.binary_fill_holes(labels == largest)
    return body


def _eroded(mask: np.ndarray) -> np.ndarray:
    """Erode layers of one or two voxels, such as partial volumes of skin and air."""
    from scipy import ndimage

    return ndimage.binary_erosion(mask, np.ones((1, 3, 3), dtype=bool))


def _center(mask: np.ndarray) -> np.ndarray:
    return np.array([axis.mean() for axis in np.nonzero(mask)])
