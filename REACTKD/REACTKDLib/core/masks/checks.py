"""Checks of masks, images and their positions, whose findings a reader should know before trusting a grade.

Only a PET that does not cover the liver stops the work. All other checks return findings, in plain sentences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from REACTKDLib.core.errors import PetOffLiver
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, liver_box, parenchyma_places
from REACTKDLib.core.images.geometry import center_of
from REACTKDLib.core.images.grid import Grid, box_key
from REACTKDLib.core.images.regrid import share_inside
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.cleaning import CLEANING_FINDINGS, clean_case
from REACTKDLib.core.masks.left_out import LEFT_OUT
from REACTKDLib.core.masks.necks import neck_of
from REACTKDLib.core.masks.pet_alignment import check_alignment
from REACTKDLib.core.masks.pet_checks import check_exchanged, check_pets
from REACTKDLib.core.masks.regions import Region, RegionSet, regions_of
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import sentence
from REACTKDLib.core.text import tr as _

THICK_SLICE_MM = 5.0
COARSE_PIXEL_MM = 2.0
CUT_ML = 0.5  # a liver that only touches the edge of the image counts as whole
NOISE_HU = 80.0  # twice the noise of a clinical CT
BESIDE_SHARE = 0.1  # 0 to 0.01 where masks lie on their liver, 0.12 and more 3 cm beside it
ENCLOSED_SHARE = 0.8  # of the surface of the organ with its lesions
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
_SIDES = {0: (_("left"), _("right")), 1: (_("back"), _("front")), 2: (_("lower end"), _("upper end"))}


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
    renewed = RENEWED_FINDINGS if findings is None else RENEWED_FINDINGS | {LEFT_OUT}
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
            ).format(name=lesion.name, volume=f"{lesion.volume_ml * 1000:.2g}", cell=f"{2 * cell_mm:g}")
            findings.append(Finding("low-resolution", "info", text, lesion.centroid_ras))
    return tuple(findings)


def check_liver(case: Case, regions: RegionSet, memo: Memo | None = None) -> list[Finding]:
    """Return findings on a liver (or the organ of the task) of implausible volume, cut by the field of view, or on the
    wrong side.

    memo: cache of earlier calls for the same images.
    """
    voxel_ml, organ = case.reference.voxel_ml, case.task.organ
    whole = sum(region.voxels for region in regions.regions) * voxel_ml
    findings = []
    if organ.volume_ml is not None and not organ.volume_ml[0] <= whole <= organ.volume_ml[1]:
        least, most = organ.volume_ml
        text = _(
            "The {organ} mask has {whole} ml, which is {word} for {one} ({least} to {most} ml); "
            "check the mask and the voxel spacing."
        ).format(
            organ=organ.name,
            whole=f"{whole:.0f}",
            word=_("small") if whole < least else _("large"),
            one=organ.one,
            least=f"{least:.0f}",
            most=f"{most:.0f}",
        )
        findings.append(Finding("liver-volume", "warning", text, _center(case)))
    parenchyma: Region = regions.regions[0]
    if parenchyma.voxels * voxel_ml < 0.1 * whole:
        findings.append(
            Finding(
                "little-parenchyma",
                "warning",
                _("Less than a tenth of the {organ} is free of {lesion}; check both masks."),
                _center(case),
                organ=organ.name,
                lesion=case.task.lesion.name,
            )
        )
    return [*findings, *_exchanged(case, regions), *_cut_sides(case), *_mirrored(case, regions, memo or Memo())]


def _exchanged(case: Case, regions: RegionSet) -> list[Finding]:
    """Return the finding on lesions that enclose the rest of the organ: a lesion grows inside it, not around it."""
    sizes = [region.voxels for region in regions.regions]
    box = liver_box(case)
    if box is None or 2 * sizes[0] >= sum(sizes):
        return []
    labels = np.pad(regions.labels[box], 1)
    surface = np.zeros(labels.shape, dtype=bool)
    for axis in range(3):
        for step in (1, -1):
            surface |= np.roll(labels, step, axis) == 0
    surface &= labels > 0
    if np.count_nonzero(labels[surface] > 1) < ENCLOSED_SHARE * np.count_nonzero(surface):
        return []
    text = _("The {lesion} mask encloses the rest of the {organ}; check that the two masks are not exchanged.")
    organ, lesion = case.task.organ.name, case.task.lesion.name
    return [Finding("masks-exchanged", "warning", text, _center(case), organ=organ, lesion=lesion)]


def _center(case: Case) -> tuple[float, float, float] | None:
    """Return the center of the liver's box, mm RAS."""
    box = liver_box(case)
    if box is None:
        return None
    ijk = [(part.start + part.stop - 1) / 2 for part in box[::-1]]
    return tuple(float(v) for v in case.reference.ijk_to_ras[:3, :3] @ ijk + case.reference.ijk_to_ras[:3, 3])


def _cut_sides(case: Case) -> list[Finding]:
    liver, matrix, box = case.liver, case.reference.ijk_to_ras, liver_box(case)
    findings = []
    for axis in range(3):  # i, j, k
        for last in (False, True):
            part, n = box[2 - axis], liver.shape[2 - axis]
            if (part.stop < n) if last else (part.start > 0):
                continue
            face = np.take(liver, -1 if last else 0, axis=2 - axis)
            if np.count_nonzero(face) * case.reference.voxel_ml < CUT_ML:
                continue
            outward = matrix[:3, axis] * (1 if last else -1)
            row = int(np.argmax(np.abs(outward)))
            side = _SIDES[row][int(outward[row] > 0)]
            kj = np.argwhere(face).mean(axis=0)
            kji = np.insert(kj, 2 - axis, n - 1 if last else 0)
            place = matrix[:3, :3] @ kji[::-1] + matrix[:3, 3]
            findings.append(
                Finding(
                    "liver-cut",
                    "warning",
                    _("The {organ} is cut at the {side} of the image, so lesions beyond it are not seen.").format(
                        side=side, organ=case.task.organ.name
                    ),
                    tuple(float(v) for v in place),
                )
            )
    return findings


def _mirrored(case: Case, regions: RegionSet, memo: Memo) -> list[Finding]:
    """Compare the center of the liver with that of the body, which only a CT shows."""
    ct, organ = case.volumes.get(Modality.CT), case.task.organ
    if ct is None or organ.side is None:
        return []
    share, middle = memo.of(("body",), lambda: _body(ct))
    if share > 0.9:  # a crop inside the body shows no sides
        return []
    sizes = np.array([region.voxels for region in regions.regions])
    liver = sizes @ [region.centroid_ras[0] for region in regions.regions] / sizes.sum()
    to_right = float(liver - middle)  # R is positive on the patient's right
    if (to_right if organ.side == "right" else -to_right) > -10.0:
        return []
    text = _("The {organ} lies on the patient's {side}; check that the image is not mirrored.")
    side = _("left") if organ.side == "right" else _("right")
    return [Finding("liver-on-left", "warning", text, _center(case), organ=organ.name, side=side)]


def _body(ct: Volume) -> tuple[float, float]:
    """Return the fraction of a CT that is body, and the left-right position of its center, mm."""
    step = tuple(max(1, n // 64) for n in ct.shape)
    body = ct.array[tuple(slice(None, None, s) for s in step)] > -300
    kji = center_of(body)[1] * step
    return float(body.mean()), float(ct.ijk_to_ras[0, :3] @ kji[::-1] + ct.ijk_to_ras[0, 3])


def check_spacing(volume: Volume, modality: Modality) -> list[Finding]:
    """Return findings on thick slices or coarse pixels of a CT, and on a header without geometry."""
    spacing = np.sort(volume.spacing)
    findings = []
    if modality is Modality.CT and spacing[2] > THICK_SLICE_MM + 1e-3:
        text = _("The CT slices are {spacing} mm apart; texture and capsule of lesions are lost above 5 mm.").format(
            spacing=f"{spacing[2]:.1f}"
        )
        findings.append(Finding("thick-slices", "warning", text))
    if modality is Modality.CT and spacing[0] > COARSE_PIXEL_MM:
        text = _("The CT has pixels of {spacing} mm; texture and capsule of lesions are lost above 2 mm.").format(
            spacing=f"{spacing[0]:.1f}"
        )
        findings.append(Finding("coarse-pixels", "warning", text))
    if np.allclose(volume.spacing, 1, atol=1e-9) and not volume.ijk_to_ras[:3, 3].any():
        text = _(
            "{image} has voxels of exactly 1 mm at the origin, as files do that lost their "
            "geometry; if so, volumes in ml are wrong."
        ).format(image=ROLES[modality])
        findings.append(Finding("no-geometry", "warning", sentence(text)))
    return findings


def check_ct_values(case: Case) -> list[Finding]:
    """Return the finding on CT values under the organ's mask that are not those of the organ: a misplaced mask, or
    values on another scale.
    """
    ct, organ = case.volumes.get(Modality.CT), case.task.organ
    if ct is None or organ.hu is None:
        return []
    median = float(np.median(ct.array[tuple(parenchyma_places(case).T)]))
    if organ.hu[0] <= median <= organ.hu[1]:
        return _beside_organ(case, ct)
    least, most = organ.usual_hu or organ.hu
    text = _(
        "The CT is {median} HU inside the {organ} mask where {one} has {least} to {most}; check that "
        "the mask lies on the {organ} and belongs to this CT."
    ).format(median=f"{median:.0f}", organ=organ.name, one=organ.one, least=f"{least:g}", most=f"{most:g}")
    return [Finding("liver-not-tissue", "warning", text, _center(case))]


def _beside_organ(case: Case, ct: Volume) -> list[Finding]:
    """Return the finding on a mask whose median is right, but whose rim lies on fat, air or bone."""
    organ, values = case.task.organ, ct.array[tuple(parenchyma_places(case).T)]
    share = float(np.mean((values < organ.hu[0] - NOISE_HU) | (values > organ.hu[1] + NOISE_HU)))
    if share <= BESIDE_SHARE:
        return []
    text = _(
        "The CT shows fat, air or bone in {percent} % of the {organ} mask; check that the mask lies on the {organ} and "
        "belongs to this CT."
    ).format(percent=f"{100 * share:.0f}", organ=organ.name)
    return [Finding("liver-not-tissue", "warning", text, _center(case))]


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
