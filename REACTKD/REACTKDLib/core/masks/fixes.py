"""What can be done about a finding on masks: other masks, for the reader to accept or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.neighbors import CONNECTED
from REACTKDLib.core.masks.components import components_of
from REACTKDLib.core.masks.one_piece import HOLE_ML, SPECK_ML
from REACTKDLib.core.masks.small_lesions import small_lesions
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import tr as _

Place = Sequence[float] | None

#: finding code -> what the fix does, for a button; see `fix_words`
FIXES: Mapping[str, str] = MappingProxyType(
    {
        "holes-filled": _("Fill the small holes of the {organ}"),
        "hole-in-liver": _("Fill this hole of the {organ}"),
        "specks-dropped": _("Erase the stray pieces of the {organ}"),
        "liver-in-pieces": _("Keep the largest piece of the {organ} and those with {lesion}"),
        "tumor-added-to-liver": _("Add the {lesion} to the {organ}"),
        "lesion-outside-liver": _("Erase this lesion"),
        "one-voxel-lesion": _("Erase this voxel"),
        "small-lesions-left-out": _("Remove small islands of the {lesion}"),
    }
)


#: finding code -> what is done about it with new segments, and the masks stay: see `worker.mending`
SPLITS: Mapping[str, str] = MappingProxyType({"lesion-neck": _("Split this lesion at its neck")})


def fix_words(code: str, task: Task) -> str | None:
    """Return what the fix of a finding does, with the words of the task; None for a code without one."""
    text = FIXES.get(code) or SPLITS.get(code)
    return None if text is None else text.format(organ=task.organ.name, lesion=task.lesion.name)


def fix_masks(
    code: str, place_ras: Place, liver: np.ndarray, tumor: np.ndarray, ijk_to_ras: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (liver, tumor), bool (D, H, W), mended for a finding; the inputs stay as they are.

    code, place_ras: of the finding, which is of these masks as they are drawn. Masks come out as they were when the
    fault is there no more.

    Raises: UsageError for a code without a fix.
    """
    if code not in FIXES:
        raise UsageError(_("There is no fix for the finding '{code}'; correct the masks by hand."), code=code)
    liver, tumor = np.array(liver, dtype=bool), np.array(tumor, dtype=bool)
    box = bounding_box(liver | tumor)
    if box is None:
        return liver, tumor
    place = None
    if place_ras is not None:
        ijk = np.linalg.solve(ijk_to_ras, [*place_ras, 1.0])[:3]
        place = ijk[::-1] - [part.start for part in box]
    voxel_ml = float(abs(np.linalg.det(ijk_to_ras[:3, :3]))) / 1000
    liver[box], tumor[box] = _STEPS[code](liver[box], tumor[box], place, voxel_ml)
    return liver, tumor


def split_lesions(mask: np.ndarray) -> list[np.ndarray]:
    """Return the lesions of a bool mask (D, H, W), 26-connected, largest first, each as a mask of its own."""
    from scipy.ndimage import label

    parts, count = label(mask, structure=CONNECTED)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    return [parts == n + 1 for n in np.argsort(-sizes, kind="stable")]


def _fill_small(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> tuple:
    for hole, size in _holes(liver | tumor):
        if size * ml <= HOLE_ML + 1e-9:
            liver = liver | hole
    return liver, tumor


def _fill_one(liver: np.ndarray, tumor: np.ndarray, place: np.ndarray | None, ml: float) -> tuple:
    large = [hole for hole, size in _holes(liver | tumor) if size * ml > HOLE_ML + 1e-9]
    chosen = _nearest(large, place)
    return (liver if chosen is None else liver | chosen), tumor


def _erase_specks(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> tuple:
    for piece, size, main, with_tumor in _pieces(liver, tumor):
        if size * ml < SPECK_ML and not main and not with_tumor:
            liver = liver & ~piece
    return liver, tumor


def _keep_main(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> tuple:
    for piece, _size, main, with_tumor in _pieces(liver, tumor):
        if not main and not with_tumor:
            liver = liver & ~piece
    return liver, tumor


def _add_tumor(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> tuple:
    """Lesions that do not touch the liver are not graded, and so are not made liver either."""
    from scipy.ndimage import binary_dilation

    near = binary_dilation(liver, CONNECTED)
    for lesion in split_lesions(tumor):
        if (lesion & near).any():
            liver = liver | lesion
    return liver, tumor


def _erase_lesion(liver: np.ndarray, tumor: np.ndarray, place: np.ndarray | None, ml: float) -> tuple:
    from scipy.ndimage import binary_dilation

    near = binary_dilation(liver, CONNECTED)
    chosen = _nearest([lesion for lesion in split_lesions(tumor) if not (lesion & near).any()], place)
    return liver, (tumor if chosen is None else tumor & ~chosen)


def _erase_voxel(liver: np.ndarray, tumor: np.ndarray, place: np.ndarray | None, ml: float) -> tuple:
    chosen = _nearest([lesion for lesion in split_lesions(tumor) if np.count_nonzero(lesion) == 1], place)
    return liver, (tumor if chosen is None else tumor & ~chosen)


def _erase_small(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> tuple:
    for box, mask in small_lesions(components_of(tumor), ml):
        tumor[box] &= ~mask
    return liver, tumor


_STEPS: Mapping[str, Callable[..., tuple]] = {
    "holes-filled": _fill_small,
    "hole-in-liver": _fill_one,
    "specks-dropped": _erase_specks,
    "liver-in-pieces": _keep_main,
    "tumor-added-to-liver": _add_tumor,
    "lesion-outside-liver": _erase_lesion,
    "one-voxel-lesion": _erase_voxel,
    "small-lesions-left-out": _erase_small,
}


def _holes(organ: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Return what the organ encloses (6-connected), each hole with its number of voxels."""
    from scipy.ndimage import label

    parts, count = label(np.pad(~organ, 1, constant_values=True))  # the rim joins everything that is open
    sizes, rim = np.bincount(parts.ravel(), minlength=count + 1), parts[0, 0, 0]
    inner = parts[1:-1, 1:-1, 1:-1]
    return [(inner == n, int(sizes[n])) for n in range(1, count + 1) if n != rim]


def _pieces(liver: np.ndarray, tumor: np.ndarray) -> list[tuple[np.ndarray, int, bool, bool]]:
    """Return the pieces of the organ (26-connected): mask, voxels, whether the largest, whether it holds tumor."""
    from scipy.ndimage import label

    parts, count = label(liver | tumor, structure=CONNECTED)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    main = 1 + int(np.argmax(sizes[1:])) if count else 0
    with_tumor = set(np.unique(parts[tumor]).tolist())
    return [(parts == n, int(sizes[n]), n == main, n in with_tumor) for n in range(1, count + 1)]


def _nearest(masks: Sequence[np.ndarray], place: np.ndarray | None) -> np.ndarray | None:
    """Return the mask whose center is nearest to a place (k, j, i); the first without a place, None without masks."""
    if not masks or place is None:
        return masks[0] if masks else None
    return min(masks, key=lambda mask: float(np.linalg.norm(np.argwhere(mask).mean(axis=0) - place)))
