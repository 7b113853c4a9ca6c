"""Cleaning of masks by the following rules, so that stray voxels and small gaps do not change a grade.

1. Every lesion (26-connected) of at least 0.05 ml that lies in or touches the liver is kept and added to the liver mask
   (archives store "liver" without its tumors). Smaller ones, of a voxel or two, are reported and counted as liver if
   they touch it, unless the reader keeps them: a slip of the brush would otherwise count as a lesion. More than 200
   lesions are refused: no liver has that many, and memory and report grow with each.
2. A lesion that neither lies in nor touches the liver is not graded. If this applies to all lesions, the masks do not
   belong together: error. If others remain, it is left out with a warning that states its position.
3. Holes of the liver, fully enclosed by it (6-connected), are filled up to 1 ml each; larger ones (such as a cyst or a
   vessel that was cut out) are kept, with a finding.
4. Pieces of the liver (26-connected) under 1 ml without tumor are removed, as slips of the brush; others are kept.
5. A liver of fewer than 27 voxels or less than 10 ml is refused, and so is one that consists of tumor only, since the
   lesions are compared with the parenchyma.

For another task, "liver" means its organ; the task states the smallest volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.errors import LiverTooSmall, NoLiver, TumorOutsideLiver
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import LIVER_BOX, LIVER_IS_WHOLE, Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Box, joined
from REACTKDLib.core.images.neighbors import CONNECTED
from REACTKDLib.core.masks.components import LESIONS, Components, components_of, voxels_of
from REACTKDLib.core.masks.lesions import empty_organ
from REACTKDLib.core.masks.one_piece import Work, make_whole
from REACTKDLib.core.masks.small_lesions import SMALLEST_LESION_ML, check_number, small_lesions, touches
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import measured, plural
from REACTKDLib.core.text import tr as _

SMALLEST_LIVER_VOXELS = 27
#: codes of the findings of cleaning
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


@dataclass(frozen=True, eq=False)
class CleanMasks:
    """liver: bool (D, H, W), tumors included. tumor: bool (D, H, W). findings: what was changed or left out.

    box: of the liver. lesions: of the tumor mask, None if it is empty.
    """

    liver: np.ndarray
    tumor: np.ndarray
    findings: tuple[Finding, ...]
    box: Box
    lesions: Components | None


def clean_case(case: Case, memo: Memo | None = None) -> Case:
    """Return the case with cleaned masks and the findings added. memo, Raises: see `clean_masks`."""
    masks = clean_masks(case.liver, case.tumor, case.reference.ijk_to_ras, memo, case.keep_specks, case.task)
    clean = case.with_masks(masks.liver, masks.tumor, case.lesions).with_findings(*masks.findings)
    clean.derived.update({LIVER_BOX: masks.box, LIVER_IS_WHOLE: True, LESIONS: masks.lesions})
    return clean


def clean_masks(
    liver: np.ndarray,
    tumor: np.ndarray,
    ijk_to_ras: np.ndarray,
    memo: Memo | None = None,
    keep_specks: bool = False,
    task: Task = HCC_GRADE,
) -> CleanMasks:
    """Apply the rules above to bool masks (D, H, W); the inputs are not changed.

    memo: cache of earlier calls; an unchanged liver is not searched for holes and pieces again.

    keep_specks: keep lesions under 0.05 ml. task: defines the organ and its lesions.

    Raises: NoLiver, LiverTooSmall, TumorOutsideLiver, TooManyLesions.
    """
    liver, tumor = np.asarray(liver, dtype=bool), np.asarray(tumor, dtype=bool)
    organ, drawn = bounding_box(liver), bounding_box(tumor)
    if organ is None:
        raise empty_organ(task)
    box = organ if drawn is None else joined([organ, drawn])
    work = Work(liver[box].copy(), tumor[box].copy(), ijk_to_ras, tuple(s.start for s in box), task)
    _check_liver_size(work)
    small = [] if keep_specks else _leave_out_small(work)
    findings = [*small, *_leave_out_strays(work), *_extend_liver(work)]
    check_number(work.lesions, task)
    findings += make_whole(work, memo or Memo())
    if not (work.liver & ~work.tumor).any():
        raise NoLiver(
            _(
                "No {organ} is left outside the {lesion}, so there is nothing to compare the {lesion} with; "
                "draw the whole {organ}."
            ),
            organ=task.organ.name,
            lesion=task.lesion.name,
        )
    whole = np.zeros_like(liver)
    lesions = np.zeros_like(tumor)
    whole[box], lesions[box] = work.liver, work.tumor
    own = tuple(slice(s.start + c, s.stop + c) for s, c in zip(bounding_box(work.liver), work.corner, strict=True))
    found = None if work.lesions is None else work.lesions.moved(work.corner)
    return CleanMasks(whole, lesions, tuple(findings), own, found)


def _check_liver_size(work: Work) -> None:
    voxels = np.count_nonzero(work.liver)
    milliliters = np.count_nonzero(work.liver | work.tumor) * work.voxel_ml
    if voxels < SMALLEST_LIVER_VOXELS:
        raise LiverTooSmall(
            _("The {organ} mask has only {voxels}; draw the whole {organ}, or choose the segment that holds it."),
            organ=work.task.organ.name,
            voxels=plural(voxels, _("{count} voxel"), _("{count} voxels")),
        )
    if milliliters < work.task.organ.smallest_ml:
        raise LiverTooSmall(
            _("The {organ} mask has only {milliliters} ml; draw the whole {organ}, or correct the voxel spacing."),
            organ=work.task.organ.name,
            milliliters=measured(milliliters),
        )


def _leave_out_small(work: Work) -> list[Finding]:
    """Remove lesions under 0.05 ml from the tumor mask; they are liver if they touch it."""
    found = small_lesions(work.lesions, work.voxel_ml)
    if not found:
        return []
    for box, mask in found:
        work.erase_lesion(box, mask)
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
        count=len(found),
        smallest=f"{SMALLEST_LESION_ML:g}",
        volume=measured(sum(map(voxels_of, found)) * work.voxel_ml),
    )
    return [Finding("small-lesions-left-out", "warning", text, work.ras_of(max(found, key=voxels_of)))]


def _leave_out_strays(work: Work) -> list[Finding]:
    from scipy.ndimage import binary_dilation

    drawn = work.lesions
    if drawn is None or not (work.tumor[drawn.box] & ~work.liver[drawn.box]).any():  # all of it lies in the liver
        return []
    findings = []
    for placed, mask in drawn.found:
        around = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in placed)
        lesion = np.zeros(work.tumor[around].shape, dtype=bool)
        own = tuple(slice(s.start - a.start, s.stop - a.start) for s, a in zip(placed, around, strict=True))
        lesion[own] = mask
        near = work.liver[around]
        if (lesion & near).any() or (near.any() and (binary_dilation(lesion, CONNECTED) & near).any()):
            continue
        place = work.ras_of((placed, mask))
        work.erase_lesion(around, lesion)
        findings.append(
            Finding(
                "lesion-outside-liver",
                "warning",
                _(
                    "A lesion of {volume} ml lies outside the {organ} and is not graded; extend the {organ} "
                    "mask to it, or erase it."
                ).format(
                    volume=measured(np.count_nonzero(lesion) * work.voxel_ml),
                    organ=work.task.organ.name,
                ),
                place,
            )
        )
    if len(findings) == len(drawn.found):
        raise TumorOutsideLiver(
            _(
                "The {lesion} lies wholly outside the {organ}; check that both masks belong to this patient and this "
                "image."
            ),
            lesion=work.task.lesion.name,
            organ=work.task.organ.name,
        )
    return findings


def _extend_liver(work: Work) -> list[Finding]:
    added = work.tumor & ~work.liver
    missing = np.count_nonzero(added)
    work.liver |= work.tumor
    if not missing:
        return []
    return [
        Finding(
            "tumor-added-to-liver",
            "info",
            _("{volume} ml of {lesion} were not in the {organ} mask and are counted as {organ}.").format(
                volume=measured(missing * work.voxel_ml),
                lesion=work.task.lesion.name,
                organ=work.task.organ.name,
            ),
            work.ras_of(components_of(added).largest_first[0]),
        )
    ]
