"""Checks of PET images: their unit, the same image given twice, and FDG and acetate swapped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, parenchyma_places
from REACTKDLib.core.images.grid import Box, box_key
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import sentence
from REACTKDLib.core.text import tr as _

SWAP_FACTOR = 1.15


def check_pets(volumes: Mapping[Modality, Volume]) -> list[Finding]:
    """Return the findings on units, and on the same image given for both tracers."""
    pets = {m: v for m, v in volumes.items() if m is not Modality.CT}
    findings = [_unit_finding(volume, modality) for modality, volume in pets.items()]
    if _given_twice(volumes):
        text = _("FDG and acetate are the same image; check which file was given for which tracer.")
        findings.append(Finding("same-pet-twice", "warning", text))
    return [finding for finding in findings if finding is not None]


def check_exchanged(case: Case, memo: Memo) -> list[Finding]:
    """Return the finding on tracers that may have been swapped, if so.

    memo: cache of earlier calls for the same images.
    """
    tracers = (Modality.FDG, Modality.ACETATE)
    if not case.task.organ.more_acetate or not all(tracer in case.volumes for tracer in tracers):
        return []
    if memo.of(("given twice",), lambda: _given_twice(case.volumes)):
        return []
    ratios = [liver_uptake(case, tracer, memo) for tracer in tracers]
    if None in ratios or ratios[0] < SWAP_FACTOR * ratios[1]:
        return []
    text = _(
        "The {organ} takes up more of the FDG image than of the acetate image, relative to the "
        "body, where acetate is usually well above; check that the two are not exchanged."
    )
    return [Finding("tracers-maybe-swapped", "warning", text, organ=case.task.organ.name)]


def _unit_finding(volume: Volume, modality: Modality) -> Finding | None:
    if volume.unit is Unit.SUVBW:
        return None
    words = _("in Bq/ml") if volume.unit is Unit.BQML else _("in an unknown unit")
    text = _("{image} is {words}, so no SUV is reported; the grade does not depend on the unit.").format(
        image=ROLES[modality], words=words
    )
    return Finding("pet-not-suv", "info", sentence(text))


def _given_twice(volumes: Mapping[Modality, Volume]) -> bool:
    fdg, acetate = (volumes.get(modality) for modality in (Modality.FDG, Modality.ACETATE))
    if fdg is None or acetate is None:
        return False
    return fdg.shape == acetate.shape and np.array_equal(fdg.array, acetate.array)


def liver_uptake(case: Case, tracer: Modality, memo: Memo) -> float | None:
    """Return the median of a PET in the parenchyma over the median in the rest of the body, without unit.

    The body is where the PET itself is above 5 % of its 99th percentile, outside the liver's bounding box on the PET's
    grid. None if there is too little of either. memo: cache of earlier calls for the same images.
    """
    pet, places = case.volumes[tracer], parenchyma_places(case)
    to_index = np.linalg.inv(pet.ijk_to_ras) @ case.reference.ijk_to_ras
    index = np.rint(to_index[:3, :3] @ places.T[::-1] + to_index[:3, 3:]).astype(int)
    index = index[:, np.all((index >= 0) & (index < np.array(pet.shape[::-1])[:, None]), axis=0)]
    if index.shape[1] < 100:
        return None
    liver = pet.array[index[2], index[1], index[0]]
    low, high = index.min(axis=1)[::-1], index.max(axis=1)[::-1] + 1
    beside = tuple(slice(int(a), int(b)) for a, b in zip(low, high))
    rest = memo.of(("rest of the body", tracer, box_key(beside)), lambda: _rest_of_body(pet, beside))
    return float(np.median(liver)) / rest if rest else None


def _rest_of_body(pet: Volume, beside: Box) -> float | None:
    """Return the median of the body outside a box; None if it is too small or has no uptake."""
    body = pet.array > 0.05 * np.percentile(pet.array, 99)
    body[beside] = False
    if np.count_nonzero(body) < 100:
        return None
    rest = float(np.median(pet.array[body]))
    return rest if rest > 0 else None
