"""The ground truth of a phantom: its grade, its latents, and the best possible prediction from each subset of
images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.modality import SUBSETS, subset_name
from REACTKDLib.core.phantom.biology_shared import SharedLatents
from REACTKDLib.core.phantom.latents import bayes_posterior
from REACTKDLib.core.phantom.lesion import Lesion
from REACTKDLib.core.phantom.patient import Patient
from REACTKDLib.core.phantom.posterior import shared_posterior


def truth_of(patient: Patient, world: np.ndarray) -> dict:
    """Return grade, latents and exact posteriors for every subset of inputs, as JSON types.

    world: (4, 4) mm, patient coordinates to RAS. In the shared biology each lesion has its position, its t and its
    latents; `deciding_lesion` is an index into that list, `deciding_posterior` the probability of each to be the
    deciding one.
    """
    cohort = "external" if patient.cohort == "external" else "hospital"
    about = {"digital_phantom": True, "seed": patient.seed, "cohort": patient.cohort}
    if isinstance(patient.latents, SharedLatents):
        return about | shared_truth(patient.latents, patient.lesions, cohort, world)
    exact = {subset_name(s): _by_grade(bayes_posterior(patient.latents, s, cohort)) for s in SUBSETS}
    return about | {
        "grade": patient.grade_name,
        "latents": patient.latents.to_dict(),
        "bayes_posterior": exact,
    }


def shared_truth(latents: SharedLatents, drawn: Sequence[Lesion], cohort: str, world: np.ndarray) -> dict:
    """Return the truth for lesions of the shared biology; `world` transforms their coordinates, see `truth_of`."""
    both = {subset_name(s): shared_posterior(latents, s, cohort) for s in SUBSETS}
    lesions = [
        asdict(own) | {"center_ras_mm": [float(v) for v in (world @ [*body.center, 1.0])[:3]], "radius_mm": body.radius}
        for own, body in zip(latents.each, drawn, strict=True)
    ]
    return {
        "biology": "shared",
        "heterogeneity": latents.heterogeneity,
        "grade": GRADES[latents.grade],
        "severity": latents.severity,
        "lesions": lesions,
        "deciding_lesion": latents.deciding,
        "bayes_posterior": {name: _by_grade(grades) for name, (grades, _) in both.items()},
        "deciding_posterior": {name: [float(p) for p in lesion] for name, (_, lesion) in both.items()},
    }


def _by_grade(probabilities: np.ndarray) -> dict[str, float]:
    return dict(zip(GRADES, map(float, probabilities), strict=True))
