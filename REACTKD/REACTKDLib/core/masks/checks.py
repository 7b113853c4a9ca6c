"""All checks of a case, whose findings a reader should know before trusting a grade, and those of its lesions.

Only a PET that does not cover the liver stops the work. All other checks return findings, in plain sentences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from REACTKDLib.core.errors import PetOffLiver
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, liver_box
from REACTKDLib.core.images.grid import Grid, box_key
from REACTKDLib.core.images.regrid import share_inside
from REACTKDLib.core.masks.cleaning import CLEANING_FINDINGS, clean_case
from REACTKDLib.core.masks.ct_checks import check_ct_values, check_spacing
from REACTKDLib.core.masks.drawn_segments import READING_FINDINGS
from REACTKDLib.core.masks.necks import neck_of
from REACTKDLib.core.masks.organ_checks import check_liver
from REACTKDLib.core.masks.pet_alignment import check_alignment
from REACTKDLib.core.masks.pet_checks import check_exchanged, check_pets
from REACTKDLib.core.masks.regions import RegionSet, regions_of
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import ROLES
from REACTKDLib.core.text import measured, sentence
from REACTKDLib.core.text import tr as _

LOW_RESOLUTION_CELLS = 8  # a smaller lesion fills no cell of the encoder's maps at half resolution
#: codes of findings that depend on the masks, from cleaning and checking: updated after an edit
MASK_FINDINGS = CLEANING_FINDINGS | {
    "one-voxel-lesion",
    "lesion-cut",
    "lesion-neck",
    "liver-volume",
    "little-parenchyma",
    "liver-cut",
    "liver-on-left",
    "masks-exchanged",
}
#: codes of findings that depend on the images and on the position of the masks in them: updated too
UNDER_MASK_FINDINGS = frozenset({"liver-not-tissue", "pet-partly-outside", "tracers-maybe-swapped"})
RENEWED_FINDINGS = MASK_FINDINGS | UNDER_MASK_FINDINGS


def checked(case: Case) -> Case:
    """Return the case with cleaned masks and every finding, without duplicates.

    Every case passes through this before grading.

    Raises: what `masks.cleaning.clean_masks` raises; PetOffLiver.
    """
    clean = clean_case(case)
    return clean.with_findings(*(finding for finding in check_case(clean) if finding not in clean.findings))


def rechecked(
    case: Case,
    liver: np.ndarray | None,
    tumor: np.ndarray | None,
    memo: Memo | None = None,
    lesions: np.ndarray | None = None,
    findings: Collection[Finding] | None = None,
) -> Case:
    """Return a checked case with corrected masks: they are cleaned, and every finding that depends on them is updated.

    liver, tumor: bool (D, H, W) as drawn; None keeps the mask of the case. lesions: of the new tumor mask, see `Case`.
    findings: from reading both masks, see `DrawnMasks`; None keeps the present ones. memo: cache of earlier calls for
    the same images. Raises: what `checked` raises.
    """
    renewed = RENEWED_FINDINGS if findings is None else RENEWED_FINDINGS | READING_FINDINGS
    kept = (*(finding for finding in case.findings if finding.code not in renewed), *(findings or ()))
    clean = clean_case(replace(case.with_masks(liver, tumor, lesions), findings=kept), memo)
    return clean.with_findings(*check_masks(clean, memo), *check_under_masks(clean, memo))


def check_masks(case: Case, memo: Memo | None = None) -> tuple[Finding, ...]:
    """Return the findings on cleaned masks, with codes of `MASK_FINDINGS`.

    memo: cache of earlier calls on the same grid; a lesion with unchanged voxels is not searched for necks again.
    """
    regions = regions_of(case)
    return (*check_lesions(regions, memo), *check_liver(case, regions, memo))


def check_case(case: Case) -> tuple[Finding, ...]:
    """Return the findings on a case with cleaned masks. Raises: PetOffLiver."""
    return (
        *check_masks(case),
        *check_spacing(case.reference, case.modalities[0]),
        *check_pets(case.volumes),
        *check_alignment(case.volumes),
        *check_under_masks(case),
    )


def check_under_masks(case: Case, memo: Memo | None = None) -> tuple[Finding, ...]:
    """Return the findings on the images under cleaned masks, with codes of `UNDER_MASK_FINDINGS`.

    memo: cache of earlier calls for the same images. Raises: PetOffLiver.
    """
    memo = memo or Memo()
    box = liver_box(case)
    liver = hashlib.sha256(np.packbits(case.liver[box])).digest()
    covered = memo.of(("coverage", box_key(box), liver), lambda: check_coverage(case))
    return (*check_ct_values(case), *covered, *check_exchanged(case, memo))


def check_lesions(regions: RegionSet, memo: Memo | None = None) -> list[Finding]:
    """Return findings on lesions of one voxel, lesions cut by the edge, and lesions that look like two.

    memo: see `check_masks`.
    """
    findings = []
    for lesion in regions.lesions:
        if lesion.voxels == 1:
            text = _("{name} is a single voxel; erase it if it is a slip.").format(name=lesion.name)
            findings.append(Finding("one-voxel-lesion", "warning", text, lesion.centroid_ras))
        if lesion.touches_border:
            text = _("{name} is cut by the edge of the image.").format(name=lesion.name)
            findings.append(Finding("lesion-cut", "warning", text, lesion.centroid_ras))
        neck = neck_of(regions, lesion, memo)
        if neck is not None:
            text = _(
                "{name} has a neck, as two touching lesions do; it counts as one lesion until it is split."
            ).format(name=lesion.name)
            findings.append(Finding("lesion-neck", "info", text, neck))
    return findings


def foresee(case: Case, cell_mm: float = 2.5) -> tuple[Finding, ...]:
    """Return the findings that a grader would add on the lesions: none at all, or too small for a grid of `cell_mm`.

    Not part of `checked`, because the grader adds these itself, for its own grid.
    """
    regions = regions_of(case)
    if not regions.lesions:
        return (
            Finding(
                "no-lesion",
                "warning",
                _("The {lesion} mask is empty, so no grade can be given."),
                lesion=case.task.lesion.name,
            ),
        )
    findings = []
    for lesion in regions.lesions:
        if lesion.volume_ml * 1000 < LOW_RESOLUTION_CELLS * cell_mm**3:
            text = _(
                "{name} ({volume} mm3) is smaller than a cell of the network's maps ({cell} mm), so its "
                "values are unreliable."
            ).format(name=lesion.name, volume=measured(lesion.volume_ml * 1000), cell=f"{2 * cell_mm:g}")
            findings.append(Finding("low-resolution", "info", text, lesion.centroid_ras))
    return tuple(findings)


def check_coverage(case: Case) -> list[Finding]:
    """Return findings on the part of the liver that each PET covers. Raises: PetOffLiver if it covers none."""
    findings = []
    for modality, volume in case.volumes.items():
        if volume is case.reference:
            continue
        share = share_inside(case.liver, case.reference.ijk_to_ras, Grid(volume.shape, volume.ijk_to_ras))
        if share == 0:
            raise PetOffLiver(
                _(
                    "{image} does not overlap the {organ}; check that it belongs to this patient and is "
                    "registered to the CT."
                ),
                image=ROLES[modality],
                organ=case.task.organ.name,
            )
        if share < 0.995:
            text = _("{image} covers {percent} % of the {organ}; it contributes nothing to the rest.").format(
                image=ROLES[modality], percent=f"{100 * share:.0f}", organ=case.task.organ.name
            )
            findings.append(Finding("pet-partly-outside", "warning", sentence(text)))
    return findings
