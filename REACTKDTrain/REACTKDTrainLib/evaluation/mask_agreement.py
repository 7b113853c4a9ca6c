"""Agreement of two masks of one structure: Dice, and surface distances in mm."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.images.geometry import bounding_box


def compare_masks(a: np.ndarray, b: np.ndarray, spacing_kji: tuple[float, float, float]) -> dict[str, float | None]:
    """Return 'dice', 'surface_mm' and 'hausdorff95_mm' of two masks.

    a, b: bool (D, H, W) on one grid. spacing_kji: distance between voxels in mm, in the order of the axes. Dice: twice
    the number of shared voxels over the sum of both (Dice 1945); None if both masks are empty. surface_mm: the
    symmetric mean of the distances from each surface voxel of one mask to the nearest of the other. hausdorff95_mm: the
    larger of the two 95th percentiles of these distances. Both are computed by MONAI; None if a mask is empty.
    """
    total = int(a.sum()) + int(b.sum())
    dice = 2 * int((a & b).sum()) / total if total else None
    if not (a.any() and b.any()):
        return {"dice": dice, "surface_mm": None, "hausdorff95_mm": None}
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    # cropping to the masks plus one voxel (where the array has one) changes no distance
    box = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in bounding_box(a | b))
    pair = [torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None] for mask in (a, b)]
    given = {"include_background": True, "spacing": list(spacing_kji)}
    mean = compute_average_surface_distance(*pair, symmetric=True, **given)
    far = compute_hausdorff_distance(*pair, percentile=95, **given)
    return {"dice": dice, "surface_mm": float(mean), "hausdorff95_mm": float(far)}
