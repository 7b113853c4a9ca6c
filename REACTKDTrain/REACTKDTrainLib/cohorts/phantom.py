"""Digital phantoms as a cohort: patients by number, drawn when they are opened, the same everywhere."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import partial

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDTrainLib.cohorts.base import CohortCase

#: raised when phantoms are drawn differently, so that nothing prepared from the old ones is taken for the new
PHANTOM_VERSION = "reactkd-phantom/1"
#: what a training scan shows around the liver, in mm; noise for another dose needs the whole field of view instead
AROUND_LIVER_MM = 26.0


def phantom_case(cohort: str, seed: int, size: str = "full", whole_field: bool = False) -> CohortCase:
    """Patient `seed` of a phantom cohort ('hospital', 'external', 'unlabeled', 'large').

    size: 'full', 'small' or 'tiny' (see `core.phantom.acquire`). whole_field: scan the whole body, not the liver and
    26 mm around it. The unlabeled cohort gives no grade.
    """
    patient = draw_patient(seed, cohort=cohort)
    around = None if whole_field else AROUND_LIVER_MM
    named = f"{PHANTOM_VERSION} {cohort} {seed} {size} {around}"
    ct_only = cohort in ("external", "unlabeled")
    return CohortCase(
        id=f"phantom-{cohort}-{seed:05d}",
        patient=f"phantom-{cohort}-{seed:05d}",
        grade=None if cohort == "unlabeled" else int(patient.grade),
        modalities=("ct",) if ct_only else MODALITIES,
        load=partial(open_phantom, cohort, seed, size, around),
        fingerprint=hashlib.sha256(named.encode()).hexdigest(),
        provenance=f"digital phantom, cohort {cohort}, number {seed}, size {size}",
        truth={"seed": seed, "latents": [float(v) for v in asdict(patient.latents).values()]},
    )


def open_phantom(cohort: str, seed: int, size: str, around_liver_mm: float | None) -> Case:
    """Draw and scan one patient."""
    return acquire(draw_patient(seed, cohort=cohort), size, around_liver_mm=around_liver_mm).case
