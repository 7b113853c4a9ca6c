"""Cleaning of masks by stated rules, so that what is graded is what was drawn.

1. Every lesion (26-connected) of at least 0.05 ml that lies in or touches the liver is kept, and the liver is made to
   contain it (archives store "liver" without its tumors). Smaller ones, a voxel or two, are told and counted as liver
   where they touch it, unless the reader keeps them: a slip of the brush would count as a lesion like any other.
   More than 200 lesions are refused: no liver has them, and memory and report grow with every one.
2. A lesion that neither lies in nor touches the liver is not graded. When that is every lesion, the masks do not belong
   together: error. When others remain, it is left out with a warning that says where it is.
3. Holes of the liver, fully enclosed by it (6-connected), are filled up to 1 ml each; larger ones (a cyst or a vessel
   that somebody cut out) stay, with a remark.
4. Pieces of the liver (26-connected) under 1 ml that hold no tumor are dropped, as slips of the brush; others stay.
5. A liver of fewer than 27 voxels or less than 10 ml is no liver, and a liver that is tumor throughout leaves nothing
   to compare with: errors.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.errors import LiverTooSmall, NoLiver, TumorOutsideLiver
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.masks.small_lesions import SMALLEST_LESION_ML, check_number, small_lesions, touches
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.text import plural
from REACTKDLib.core.text import tr as _

HOLE_ML = 1.0
SPECK_ML = 1.0
SMALLEST_LIVER_ML = 10.0
SMALLEST_LIVER_VOXELS = 27
#: codes of the findings that cleaning gives
CLEANING_FINDINGS = frozenset(
    {
        "lesion-outside-liver",
        "small-lesions-left-out",
        "tumor-added-to-liver",
        "holes-filled",
        "hole-in-liver",
        "specks-dropped",
        "liver-in-pieces",
    }
)
_FULL = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class CleanMasks:
    """liver: bool (D, H, W), tumors included. tumor: bool (D, H, W). findings: what was changed or left out."""

    liver: np.ndarray
    tumor: np.ndarray
    findings: tuple[Finding, ...]


def clean_case(case: Case, memo: Memo | None = None) -> Case:
    """Return the case with cleaned masks and the findings added. memo, Raises: see `clean_masks`."""
    masks = clean_masks(case.liver, case.tumor, case.reference.ijk_to_ras, memo, case.keep_specks)
    return case.with_masks(masks.liver, masks.tumor, case.lesions).with_findings(*masks.findings)


def clean_masks(
    liver: np.ndarray,
    tumor: np.ndarray,
    ijk_to_ras: np.ndarray,
    memo: Memo | None = None,
    keep_specks: bool = False,
) -> CleanMasks:
    """Apply the rules above to bool masks (D, H, W); the inputs stay as they are.

    memo: of earlier calls; a liver that was found to be in one piece without a hole is not searched again.

    keep_specks: also lesions under 0.05 ml.

    Raises: NoLiver, LiverTooSmall, TumorOutsideLiver, TooManyLesions.
    """
    liver, tumor = np.asarray(liver, dtype=bool), np.asarray(tumor, dtype=bool)
    if not liver.any():
        raise NoLiver(_("The liver mask is empty; draw the liver, or choose the segment that holds it."))
    box = bounding_box(liver | tumor)
    work = _Work(liver[box].copy(), tumor[box].copy(), ijk_to_ras, tuple(s.start for s in box))
    _check_liver_size(work)
    small = [] if keep_specks else _leave_out_small(work)
    findings = [*small, *_leave_out_strays(work), *_extend_liver(work)]
    check_number(work.tumor)
    is_whole = ("liver is whole", work.liver.shape, hashlib.sha256(np.packbits(work.liver)).digest())
    if not (memo or Memo()).of(is_whole, lambda: _is_whole(work.liver)):
        findings += [*_fill_holes(work), *_drop_specks(work)]
    if not (work.liver & ~work.tumor).any():
        raise NoLiver(
            _(
                "No liver is left outside the tumor, so there is nothing to compare the tumor with; "
                "draw the whole liver."
            )
        )
    whole = np.zeros_like(liver)
    lesions = np.zeros_like(tumor)
    whole[box], lesions[box] = work.liver, work.tumor
    return CleanMasks(whole, lesions, tuple(findings))


@dataclass(eq=False)
class _Work:
    """The masks inside their common box, changed step by step. corner: (k, j, i) of the box."""

    liver: np.ndarray
    tumor: np.ndarray
    ijk_to_ras: np.ndarray
    corner: tuple[int, int, int]

    @property
    def voxel_ml(self) -> float:
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000

    def ras_of(self, mask: np.ndarray, offset: tuple[int, int, int] = (0, 0, 0)) -> tuple[float, float, float]:
        """Return the center of `mask`, whose own corner lies at `offset` in the box."""
        kji = np.argwhere(mask).mean(axis=0) + self.corner + np.asarray(offset)
        ras = self.ijk_to_ras[:3, :3] @ kji[::-1] + self.ijk_to_ras[:3, 3]
        return tuple(float(v) for v in ras)

    def ras_of_largest(self, mask: np.ndarray) -> tuple[float, float, float]:
        """Return the center of the largest part (26-connected) of a mask on the box."""
        from scipy.ndimage import label

        box = bounding_box(mask)
        parts, _ = label(mask[box], structure=_FULL)
        largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
        return self.ras_of(parts == largest, tuple(part.start for part in box))


def _check_liver_size(work: _Work) -> None:
    voxels = np.count_nonzero(work.liver)
    milliliters = np.count_nonzero(work.liver | work.tumor) * work.voxel_ml
    if voxels < SMALLEST_LIVER_VOXELS:
        raise LiverTooSmall(
            _("The liver mask has only {voxels}; draw the whole liver, or choose the segment that holds it."),
            voxels=plural(voxels, _("{count} voxel"), _("{count} voxels")),
        )
    if milliliters < SMALLEST_LIVER_ML:
        raise LiverTooSmall(
            _("The liver mask has only {milliliters} ml; draw the whole liver, or correct the voxel spacing."),
            milliliters=f"{milliliters:.2g}",
        )


def _leave_out_small(work: _Work) -> list[Finding]:
    """Lesions under 0.05 ml are no tumor; they are liver where they touch it."""
    found = small_lesions(work.tumor, work.voxel_ml)
    if not found:
        return []
    sizes = [np.count_nonzero(mask) for _place, mask in found]
    for box, mask in found:
        work.tumor[box] &= ~mask
        if touches(box, work.liver):
            work.liver[box] |= mask
    one = _(
        "{count} lesion under {smallest} ml, {volume} ml in all, is not graded; erase what is a slip of the brush, or "
        "keep small lesions (--keep-specks on the command line)."
    )
    many = _(
        "{count} lesions under {smallest} ml, {volume} ml in all, are not graded; erase what is a slip of the brush, "
        "or keep small lesions (--keep-specks on the command line)."
    )
    text = (one if len(found) == 1 else many).format(
        count=len(found), smallest=f"{SMALLEST_LESION_ML:g}", volume=f"{sum(sizes) * work.voxel_ml:.2g}"
    )
    box, mask = found[int(np.argmax(sizes))]
    place = work.ras_of(mask, tuple(part.start for part in box))
    return [Finding("small-lesions-left-out", "warning", text, place)]


def _leave_out_strays(work: _Work) -> list[Finding]:
    from scipy.ndimage import binary_dilation, find_objects, label

    box = bounding_box(work.tumor)
    if box is None or not (work.tumor[box] & ~work.liver[box]).any():  # all of it in the liver: nothing to look for
        return []
    parts, count = label(work.tumor[box], structure=_FULL)
    findings = []
    for number, where in enumerate(find_objects(parts, count), start=1):
        placed = [slice(s.start + b.start, s.stop + b.start) for s, b in zip(where, box, strict=True)]
        around = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in placed)
        lesion = np.zeros(work.tumor[around].shape, dtype=bool)
        own = tuple(slice(s.start - a.start, s.stop - a.start) for s, a in zip(placed, around, strict=True))
        lesion[own] = parts[where] == number
        near = work.liver[around]
        if (lesion & near).any() or (near.any() and (binary_dilation(lesion, _FULL) & near).any()):
            continue
        place = work.ras_of(lesion, tuple(s.start for s in around))
        work.tumor[around] &= ~lesion
        findings.append(
            Finding(
                "lesion-outside-liver",
                "warning",
                _(
                    "A lesion of {volume} ml lies outside the liver and is not graded; extend the liver "
                    "mask to it, or erase it."
                ).format(volume=f"{np.count_nonzero(lesion) * work.voxel_ml:.2g}"),
                place,
            )
        )
    if len(findings) == count:
        raise TumorOutsideLiver(
            _("The tumor lies wholly outside the liver; check that both masks belong to this patient and this image.")
        )
    return findings


def _extend_liver(work: _Work) -> list[Finding]:
    added = work.tumor & ~work.liver
    missing = np.count_nonzero(added)
    work.liver |= work.tumor
    if not missing:
        return []
    return [
        Finding(
            "tumor-added-to-liver",
            "info",
            _("{volume} ml of tumor were not in the liver mask and are counted as liver.").format(
                volume=f"{missing * work.voxel_ml:.2g}"
            ),
            work.ras_of_largest(added),
        )
    ]


def _is_whole(liver: np.ndarray) -> bool:
    """One piece without a hole."""
    from scipy.ndimage import label

    return label(np.pad(~liver, 1, constant_values=True))[1] <= 1 and label(liver, structure=_FULL)[1] <= 1


def _fill_holes(work: _Work) -> list[Finding]:
    from scipy.ndimage import find_objects, label

    outside, count = label(np.pad(~work.liver, 1, constant_values=True))  # the rim joins everything that is open
    if count <= 1:
        return []
    sizes = np.bincount(outside.ravel(), minlength=count + 1)
    open_label = outside[0, 0, 0]
    inner = outside[1:-1, 1:-1, 1:-1]
    holes = [n for n in range(1, count + 1) if n != open_label]
    small = [n for n in holes if sizes[n] * work.voxel_ml <= HOLE_ML + 1e-9]
    findings = []
    if small:
        fill = np.isin(np.arange(count + 1), small)[inner]
        work.liver |= fill
        findings.append(
            Finding(
                "holes-filled",
                "info",
                _("{holes} in the liver mask, {volume} ml in all, counted as liver.").format(
                    holes=plural(len(small), _("{count} small hole"), _("{count} small holes")),
                    volume=f"{np.count_nonzero(fill) * work.voxel_ml:.2g}",
                ),
                work.ras_of_largest(fill),
            )
        )
    boxes = find_objects(inner, count)
    for n in holes:
        if n not in small:
            place = work.ras_of(inner[boxes[n - 1]] == n, tuple(s.start for s in boxes[n - 1]))
            findings.append(
                Finding(
                    "hole-in-liver",
                    "info",
                    _("A hole of {volume} ml in the liver mask was left open; fill it if it is liver or tumor.").format(
                        volume=f"{sizes[n] * work.voxel_ml:.1f}"
                    ),
                    place,
                )
            )
    return findings


def _drop_specks(work: _Work) -> list[Finding]:
    from scipy.ndimage import label

    parts, count = label(work.liver, structure=_FULL)
    if count <= 1:
        return []
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    with_tumor = np.zeros(count + 1, dtype=bool)
    with_tumor[np.unique(parts[work.tumor])] = True
    drop = (sizes * work.voxel_ml < SPECK_ML) & ~with_tumor
    drop[0] = False
    drop[1 + int(np.argmax(sizes[1:]))] = False
    kept = count - int(drop.sum())
    findings = []
    if drop.any():
        gone = drop[parts]
        work.liver &= ~gone
        text = _("{pieces} of the liver mask under {smallest} ml, {volume} ml in all, not counted as liver.").format(
            pieces=plural(int(drop.sum()), _("{count} stray piece"), _("{count} stray pieces")),
            smallest=f"{SPECK_ML:g}",
            volume=f"{np.count_nonzero(gone) * work.voxel_ml:.2g}",
        )
        findings.append(Finding("specks-dropped", "info", text, work.ras_of_largest(gone)))
    if kept > 1:
        others = np.where(drop, 0, sizes)
        others[[0, 1 + int(np.argmax(sizes[1:]))]] = 0
        findings.append(
            Finding(
                "liver-in-pieces",
                "warning",
                _("The liver mask is in {kept} pieces; connect them, or erase those that are not liver.").format(
                    kept=kept
                ),
                work.ras_of(parts == int(np.argmax(others))),
            )
        )
    return findings
