"""Consistency of masks and images whose files state more than one position (a NIfTI file's qform and sform).

Another program may have used the position that was not used here, and written a mask or a PET that matches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from REACTKDLib.core.errors import GeometryMismatch
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.grid import Grid, farthest_apart
from REACTKDLib.core.images.regrid import whole_voxel_windows
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import tr as _

SAME_GRID_VOXELS = 0.1


def same_place(a: Grid, b: Grid) -> bool:
    """Return True if no voxel differs in position by more than a tenth of a voxel (NIfTI rounds to about 1e-3 mm)."""
    if a.shape != b.shape:
        return False
    return bool(farthest_apart(a.shape, a.ijk_to_ras, b.ijk_to_ras) < SAME_GRID_VOXELS * b.spacing.min())


def settled_place(
    grid: Grid, others: Sequence[np.ndarray], image: Grid, image_others: Sequence[np.ndarray], role: str
) -> tuple[np.ndarray, list[Finding]]:
    """Return the matrix (4, 4) with which masks match their image, and findings.

    grid, others: the grid of the masks by their file, and other matrices that it states; image, image_others: those of
    the image. If the file's own matrix does not align the masks with the image's voxels, but one that either file also
    states does, the latter is returned.
    """
    if same_place(grid, image):
        return grid.ijk_to_ras, []
    pairs = [(own, place) for place in (image.ijk_to_ras, *image_others) for own in (grid.ijk_to_ras, *others)]
    for agree in (same_place, _share_voxels):
        for own, place in pairs:
            if agree(Grid(grid.shape, own), Grid(image.shape, place)):
                if own is grid.ijk_to_ras and place is image.ijk_to_ras:
                    return own, []
                return image.ijk_to_ras @ np.linalg.inv(place) @ own, [_by_other_place(role)]
    return grid.ijk_to_ras, []


def check_images_together(volumes: Mapping[Modality, Volume]) -> None:
    """Raise GeometryMismatch if a PET matches a position of the reference image that is not used, or the reverse."""
    (_modality, reference), *others = volumes.items()
    for modality, volume in others:
        own, image = (Grid(v.shape, v.ijk_to_ras) for v in (volume, reference))
        if same_place(own, image):
            continue
        pairs = [(own, Grid(image.shape, place)) for place in reference.other_places]
        pairs += [(Grid(own.shape, place), image) for place in volume.other_places]
        if any(same_place(a, b) for a, b in pairs):
            text = _(
                "{image} overlaps the other image at only one of the two positions that their headers "
                "state; save both again with the same geometry in qform and sform."
            )
            raise GeometryMismatch(text, image=ROLES[modality])


def _share_voxels(a: Grid, b: Grid) -> bool:
    windows = whole_voxel_windows(a.shape, a.ijk_to_ras, b)
    return windows is not None and windows[0][0].stop > windows[0][0].start


def _by_other_place(role: str) -> Finding:
    text = _(
        "{role} fits the image only by the second of two positions in a header (qform and sform), "
        "so it was placed on the image voxel by voxel; check that it fits."
    )
    return Finding("mask-by-other-place", "warning", text, role=role)
