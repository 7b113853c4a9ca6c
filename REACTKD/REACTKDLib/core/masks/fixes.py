"""Fixes for findings on masks: proposed new masks, which the reader accepts or rejects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.neighbors import CONNECTED
from REACTKDLib.core.masks.components import Part, center_of_part, components_of, holes_of, voxels_of
from REACTKDLib.core.masks.one_piece import HOLE_ML, pieces_of
from REACTKDLib.core.masks.small_lesions import small_lesions
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import tr as _

Place = Sequence[float] | None

#: finding code -> label of the button for its fix; see `fix_words`
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


#: finding code -> fix that adds new segments and leaves the masks unchanged: see `worker.mending`
SPLITS: Mapping[str, str] = MappingProxyType({"lesion-neck": _("Split this lesion at its neck")})


def fix_words(code: str, task: Task) -> str | None:
    """Return the description of the fix for a finding, in the words of the task; None for a code without a fix."""
    text = FIXES.get(code) or SPLITS.get(code)
    return None if text is None else text.format(organ=task.organ.name, lesion=task.lesion.name)


def fix_masks(
    code: str, place_ras: Place, liver: np.ndarray, tumor: np.ndarray, ijk_to_ras: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (liver, tumor), bool (D, H, W), fixed for a finding; the inputs are not changed.

    code, place_ras: of the finding, which must be on these masks as drawn. If the fault is no longer there, the masks
    are returned unchanged.

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
    _STEPS[code](liver[box], tumor[box], place, voxel_ml)  # in place
    return liver, tumor


def split_lesions(mask: np.ndarray) -> list[np.ndarray]:
    """Return the lesions of a bool mask (D, H, W), 26-connected, largest first, each as a separate mask."""
    lesions = []
    for box, part in _parts(mask):
        lesions.append(np.zeros_like(mask))
        lesions[-1][box] = part
    return lesions


def _parts(mask: np.ndarray) -> list[Part]:
    found = components_of(mask)
    return [] if found is None else found.largest_first


def _fill_small(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> None:
    _add(liver, [hole for hole in holes_of(liver | tumor) if voxels_of(hole) * ml <= HOLE_ML + 1e-9])


def _fill_one(liver: np.ndarray, tumor: np.ndarray, place: np.ndarray | None, ml: float) -> None:
    large = [hole for hole in holes_of(liver | tumor) if voxels_of(hole) * ml > HOLE_ML + 1e-9]
    _add(liver, _nearest(large, place))


def _erase_specks(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> None:
    _erase(liver, [piece.part for piece in pieces_of(liver | tumor, tumor) if piece.is_speck(ml)])


def _keep_main(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> None:
    pieces = pieces_of(liver | tumor, tumor)
    _erase(liver, [piece.part for piece in pieces if not piece.is_main and not piece.has_tumor])


def _add_tumor(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> None:
    """Add the tumor to the liver, except lesions that do not touch the liver, which are not graded."""
    _add(liver, [lesion for lesion, near in _with_nearness(liver, tumor) if near])


def _erase_lesion(liver: np.ndarray, tumor: np.ndarray, place: np.ndarray | None, ml: float) -> None:
    _erase(tumor, _nearest([lesion for lesion, near in _with_nearness(liver, tumor) if not near], place))


def _erase_voxel(liver: np.ndarray, tumor: np.ndarray, place: np.ndarray | None, ml: float) -> None:
    _erase(tumor, _nearest([lesion for lesion in _parts(tumor) if voxels_of(lesion) == 1], place))


def _erase_small(liver: np.ndarray, tumor: np.ndarray, _: np.ndarray | None, ml: float) -> None:
    _erase(tumor, small_lesions(components_of(tumor), ml))


_STEPS: Mapping[str, Callable[..., None]] = {
    "holes-filled": _fill_small,
    "hole-in-liver": _fill_one,
    "specks-dropped": _erase_specks,
    "liver-in-pieces": _keep_main,
    "tumor-added-to-liver": _add_tumor,
    "lesion-outside-liver": _erase_lesion,
    "one-voxel-lesion": _erase_voxel,
    "small-lesions-left-out": _erase_small,
}


def _with_nearness(liver: np.ndarray, tumor: np.ndarray) -> list[tuple[Part, bool]]:
    """Return the lesions, and for each whether it lies in or touches the liver."""
    from scipy.ndimage import binary_dilation

    near = binary_dilation(liver, CONNECTED)
    return [(lesion, bool((lesion[1] & near[lesion[0]]).any())) for lesion in _parts(tumor)]


def _nearest(parts: Sequence[Part], place: np.ndarray | None) -> Sequence[Part]:
    """Return only the part whose center is nearest to a position (k, j, i); without a position, the first one."""
    if not parts or place is None:
        return parts[:1]
    return [min(parts, key=lambda part: float(np.linalg.norm(center_of_part(part) - place)))]


def _add(mask: np.ndarray, parts: Iterable[Part]) -> None:
    for box, part in parts:
        mask[box] |= part


def _erase(mask: np.ndarray, parts: Iterable[Part]) -> None:
    for box, part in parts:
        mask[box] &= ~part
