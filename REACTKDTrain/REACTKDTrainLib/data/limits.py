"""The best that any method could do: the exact posterior of phantoms, in either biology."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from REACTKDLib.core.phantom.biology_shared import SharedLatents
from REACTKDLib.core.phantom.latents import DENSITIES, posterior
from REACTKDLib.core.phantom.posterior import evidence_of, grade_posterior, lesion_table
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase

NAMES = ("lesions", *DENSITIES)


def limit_of(
    latents: np.ndarray | Sequence[SharedLatents], inputs: str, cohort: str = "hospital", masks: bool = True
) -> np.ndarray:
    """Probabilities (n, 3) of cases with these latents, given images ('ct+fdg'), and the masks.

    latents: (n, 10) of the independent biology, or those of n patients of the shared one, all of one heterogeneity.
    cohort: whose prevalence they are drawn by, see `prior_of`. masks: methods are given masks, which show the margin
    whatever the images are.
    """
    also = ("ln_margin",) if masks else ()
    if not isinstance(latents, np.ndarray):
        evidence = evidence_of(lesion_table(latents), inputs.split("+"), also=also)
        return grade_posterior(evidence, latents[0].heterogeneity, cohort)
    densities = {name: latents[:, i] for i, name in enumerate(NAMES)}
    return posterior(densities, inputs.split("+"), cohort, also=also)


def prior_of(cohort: Cohort) -> str:
    """Of which phantoms a cohort is, so what `limit_of` knows of its grades before it sees an image."""
    return cohort.name.removeprefix("phantom ")


def latents_of(cases: Sequence[CohortCase]) -> np.ndarray | list[SharedLatents] | None:
    """Of phantoms, as `limit_of` takes them; None for a cohort of patients, whose limit nobody knows."""
    if any(case.truth is None for case in cases):
        return None
    if all("shared" in case.truth for case in cases):
        return [case.truth["shared"] for case in cases]
    return np.array([case.truth["latents"] for case in cases], dtype=np.float64)
