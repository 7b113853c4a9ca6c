"""A liver mask for a real CT without one, by thresholding."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.images.volume import Volume


def liver_by_threshold(ct: Volume, slices: slice, step: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return the liver, bool (D, H, W), on every `step`-th pixel of `slices`, and the matrix of that grid.

    The largest component of 30 to 130 HU after smoothing and opening; checked by eye for ACRIN-NSCLC-FDG-PET 042, where
    it follows the liver and includes a little muscle between the ribs.
    """
    from scipy.ndimage import binary_opening, gaussian_filter, label

    values = np.clip(ct.array[slices, ::step, ::step], -200, 300).astype(np.float32)
    smooth = gaussian_filter(values, 1.0)
    parts, _ = label(binary_opening((smooth > 30) & (smooth < 130), iterations=3))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    matrix = ct.ijk_to_ras @ np.diag([step, step, 1.0, 1.0])
    matrix[:3, 3] += ct.ijk_to_ras[:3, 2] * (slices.start or 0)
    return parts == int(sizes.argmax()), matrix
