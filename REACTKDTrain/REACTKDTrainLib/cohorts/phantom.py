"""Digital phantoms as a cohort: patients by number, generated when opened, reproducible on every computer."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import numpy as np

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.phantom import Latents, acquire, draw_patient
from REACTKDLib.core.phantom.biology_shared import SharedLatents
from REACTKDLib.core.phantom.patient import draw_grade_and_latents
from REACTKDTrainLib.cohorts.base import CENTERS, CohortCase
from REACTKDTrainLib.content_store import content_key

#: increased when the simulation changes, so that cases prepared from the old one are not reused
PHANTOM_VERSION = {"independent": "reactkd-phantom/1", "shared": "reactkd-phantom/2"}
#: margin of a training scan around the liver, in mm; simulation of another dose needs the whole field of view instead
AROUND_LIVER_MM = 26.0


def phantom_case(
    cohort: str,
    seed: int,
    size: str = "full",
    whole_field: bool = False,
    biology: str = "shared",
    heterogeneity: float | None = None,
) -> CohortCase:
    """Patient `seed` of a phantom cohort ('hospital', 'external', 'unlabeled', 'large').

    size: 'full', 'small' or 'tiny' (see `core.phantom.acquire`). whole_field: scan the whole body, not the liver and
    26 mm around it. biology, heterogeneity: see `draw_patient`. The unlabeled cohort gives no grade.
    """
    grade, latents = draw_grade_and_latents(seed, cohort=cohort, biology=biology, heterogeneity=heterogeneity)
    around = None if whole_field else AROUND_LIVER_MM
    named = f"{PHANTOM_VERSION[biology]} {cohort} {seed} {size} {around}"
    name, drawn = f"phantom-{cohort}-{seed:05d}", f"number {seed}, size {size}"
    if isinstance(latents, SharedLatents):
        h = latents.heterogeneity
        named += f" {h:g}"
        drawn += f", shared biology, heterogeneity {h:g}"
    ct_only = cohort in ("external", "unlabeled")
    return CohortCase(
        id=name,
        patient=name,
        grade=None if cohort == "unlabeled" else int(grade),
        modalities=("ct",) if ct_only else MODALITIES,
        load=partial(open_phantom, cohort, seed, size, around, biology, heterogeneity),
        fingerprint=content_key(named),
        provenance=f"digital phantom, cohort {cohort}, {drawn}",
        truth={"seed": seed} | _truth(latents),
    )


def _truth(latents: Latents | SharedLatents) -> dict:
    if isinstance(latents, SharedLatents):
        return {"shared": latents}
    return {"latents": [float(v) for v in asdict(latents).values()]}


def open_phantom(
    cohort: str,
    seed: int,
    size: str,
    around_liver_mm: float | None,
    biology: str = "shared",
    heterogeneity: float | None = None,
) -> Case:
    """Generate and scan one patient, and record the positions of its lesions (`CENTERS`)."""
    patient = draw_patient(seed, cohort=cohort, biology=biology, heterogeneity=heterogeneity)
    found = acquire(patient, size, around_liver_mm=around_liver_mm)
    if "lesions" in found.truth:
        found.case.derived[CENTERS] = np.array([lesion["center_ras_mm"] for lesion in found.truth["lesions"]])
    return found.case
