"""Checks of PET images: their unit, the same file given twice, and FDG and acetate exchanged."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import sentence
from REACTKDLib.core.text import tr as _

SWAP_FACTOR = 1.15


def check_pets(case: Case) -> list[Finding]:
    """Return the findings on units, identical images and exchanged tracers."""
    pets = {m: v for m, v in case.volumes.items() if m is not Modality.CT}
    findings = [_unit_finding(volume, modality) for modality, volume in pets.items()]
    if len(pets) == 2:
        findings += _compare(case, pets[Modality.FDG], pets[Modality.ACETATE])
    return [finding for finding in findings if finding is not None]


def _unit_finding(volume: Volume, modality: Modality) -> Finding | None:
    if volume.unit is Unit.SUVBW:
        return None
    words = _("in Bq/ml") if volume.unit is Unit.BQML else _("in an unknown unit")
    text = _("{image} is {words}, so no SUV is reported; the grade does not depend on the unit.").format(
        image=ROLES[modality], words=words
    )
    return Finding("pet-not-suv", "info", sentence(text))


def _compare(case: Case, fdg: Volume, acetate: Volume) -> list[Finding]:
    if fdg.shape == acetate.shape and np.array_equal(fdg.array, acetate.array):
        text = _("FDG and acetate are the same image; check which file was given for which tracer.")
        return [Finding("same-pet-twice", "warning", text)]
    if not case.task.organ.more_acetate:
        return []
    ratios = [liver_uptake(case, volume) for volume in (fdg, acetate)]
    if None in ratios or ratios[0] < SWAP_FACTOR * ratios[1]:
        return []
    text = _(
        "The {organ} takes up more of the FDG image than of the acetate image, relative to the "
        "body, where acetate is usually well above; check that the two are not exchanged."
    )
    return [Finding("tracers-maybe-swapped", "warning", text, organ=case.task.organ.name)]


def liver_uptake(case: Case, pet: Volume) -> float | None:
    """Return the median of `pet` in the parenchyma over the median in the rest of the body, free of units.

    The body is where the PET itself is above 5 % of its 99th percentile, outside the liver's bounding box on the PET's
    grid. None when there is too little of either.
    """
    box = bounding_box(case.liver)
    if box is None:
        return None
    to_index = np.linalg.inv(pet.ijk_to_ras) @ case.reference.ijk_to_ras
    step = tuple(slice(s.start, s.stop, max(1, (s.stop - s.start) // 40)) for s in box)
    k, j, i = (axis.ravel() for axis in np.mgrid[step])
    hit = case.liver[k, j, i] & ~case.tumor[k, j, i]
    index = np.rint(to_index[:3, :3] @ np.stack([i, j, k])[:, hit] + to_index[:3, 3:]).astype(int)
    index = index[:, np.all((index >= 0) & (index < np.array(pet.shape[::-1])[:, None]), axis=0)]
    if index.shape[1] < 100:
        return None
    liver = pet.array[index[2], index[1], index[0]]
    body = pet.array > 0.05 * np.percentile(pet.array, 99)
    low, high = index.min(axis=1)[::-1], index.max(axis=1)[::-1] + 1
    body[tuple(slice(a, b) for a, b in zip(low, high))] = False
    if np.count_nonzero(body) < 100:
        return None
    rest = float(np.median(pet.array[body]))
    return float(np.median(liver)) / rest if rest > 0 else None
