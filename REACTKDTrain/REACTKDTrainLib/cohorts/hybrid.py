"""Hybrid cases: scans with simulated lesions of known biology in their livers, as cases of a cohort."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from REACTKDLib.core.errors import NoLiver
from REACTKDLib.core.images.case import Case, liver_box
from REACTKDLib.core.phantom.hybrid import draw_into, hybrid_latents
from REACTKDLib.core.text import tr as _
from REACTKDTrainLib.cohorts.base import CENTERS, CohortCase
from REACTKDTrainLib.cohorts.phantom import AROUND_LIVER_MM
from REACTKDTrainLib.content_store import content_key

#: increased when the simulation changes, so that cases prepared from the old one are not reused
HYBRID_VERSION = "reactkd-hybrid/1"

_held: dict[str, Case] = {}  # the last scan that this process used: each is used for many hybrids


def hybrid_case(scan: CohortCase, seed: int, grade: int) -> CohortCase:
    """Return a case with the lesions of number `seed`, of a patient of `grade` (index), in the liver of `scan`.

    A seed gives the same lesions in every scan (and of the same size, if there is room), so predictions can be compared
    lesion by lesion. Lesions in the scan's own masks stay in the images and belong to no region. The CT is cropped to
    the liver and a margin of 26 mm, as for the phantoms that students are trained on; PETs are not cropped.
    """
    named = f"{HYBRID_VERSION} {scan.fingerprint} {seed} {grade} {AROUND_LIVER_MM}"
    return CohortCase(
        id=f"{scan.id}-hybrid-{seed:05d}",
        patient=scan.patient,
        grade=grade,
        modalities=scan.modalities,
        load=partial(open_hybrid, scan, seed, grade),
        fingerprint=content_key(named),
        provenance=f"lesions number {seed} drawn into a scan ({scan.provenance or 'own files'})",
        truth={"seed": seed, "shared": hybrid_latents(seed, grade)},
    )


def open_hybrid(scan: CohortCase, seed: int, grade: int) -> Case:
    """Draw the lesions and record their positions (`CENTERS`). Raises: see `scan.load` and `draw_into`."""
    if scan.fingerprint not in _held:
        opened = around_liver(scan.load(), AROUND_LIVER_MM)
        _held.clear()
        _held[scan.fingerprint] = opened
    case = _held[scan.fingerprint]
    made = draw_into(case, seed, grade)
    drawn = made.case.tumor & ~case.tumor
    hybrid = replace(made.case, liver=made.case.liver & ~case.tumor, tumor=drawn)
    hybrid.derived[CENTERS] = np.array([lesion["center_ras_mm"] for lesion in made.truth["lesions"]])
    return hybrid


def around_liver(case: Case, margin_mm: float) -> Case:
    """Crop CT and masks to the liver's box and a margin; other images are unchanged. Raises: NoLiver."""
    box = liver_box(case)
    if box is None:
        raise NoLiver(_("The {organ} mask is empty; draw the {organ}."), organ=case.task.organ.name)
    ct = case.reference
    pad = np.ceil(margin_mm / ct.spacing[::-1]).astype(int)
    cut = tuple(slice(max(s.start - p, 0), s.stop + p) for s, p in zip(box, pad, strict=True))
    matrix = ct.ijk_to_ras.copy()
    matrix[:3, 3] = (ct.ijk_to_ras @ [*(s.start for s in cut[::-1]), 1.0])[:3]
    part = replace(ct, array=np.ascontiguousarray(ct.array[cut]), ijk_to_ras=matrix)
    volumes = {m: part if volume is ct else volume for m, volume in case.volumes.items()}
    masks = (np.ascontiguousarray(mask[cut]) for mask in (case.liver, case.tumor))
    return Case(case.id, volumes, *masks, case.findings, task=case.task)
