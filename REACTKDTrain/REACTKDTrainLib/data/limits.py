"""The upper bound for any method: the exact posterior of phantoms, in either biology."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.phantom.biology_shared import SharedLatents
from REACTKDLib.core.phantom.latents import DENSITIES, posterior
from REACTKDLib.core.phantom.posterior import evidence_of, grade_posterior, lesion_table
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase

NAMES = ("lesions", *DENSITIES)


def limit_of(
    latents: np.ndarray | Sequence[SharedLatents], inputs: str, cohort: str = "hospital", masks: bool = True
) -> np.ndarray:
    """Return exact class probabilities (n, 3) of cases with these latent variables, given images ('ct+fdg') and the
    masks.

    latents: (n, 10) of the independent biology, or those of n patients of the shared one, each with its own
    heterogeneity. cohort: the cohort whose prevalence applies, see `prior_of`. masks: True if methods are given masks,
    which show the margin with any images.
    """
    also = ("ln_margin",) if masks else ()
    if not isinstance(latents, np.ndarray):
        out = np.empty((len(latents), len(GRADES)))
        for index, own, heterogeneity in of_each_heterogeneity(latents):
            evidence = evidence_of(lesion_table(own), inputs.split("+"), also=also)
            out[index] = grade_posterior(evidence, heterogeneity, cohort)
        return out
    densities = {name: latents[:, i] for i, name in enumerate(NAMES)}
    return posterior(densities, inputs.split("+"), cohort, also=also)


def of_each_heterogeneity(
    latents: Sequence[SharedLatents],
) -> Iterator[tuple[np.ndarray, list[SharedLatents], float]]:
    """Yield the indices of the patients of each heterogeneity, these patients, and it: one quadrature serves these."""
    values = np.array([patient.heterogeneity for patient in latents])
    for heterogeneity in np.unique(values):
        index = np.flatnonzero(values == heterogeneity)
        yield index, [latents[n] for n in index], float(heterogeneity)


def prior_of(cohort: Cohort) -> str:
    """Return the phantom cohort that a cohort belongs to, which determines the prior of `limit_of`."""
    return cohort.name.removeprefix("phantom ")


def latents_of(cases: Sequence[CohortCase]) -> np.ndarray | list[SharedLatents] | None:
    """Return the latent variables of phantoms for `limit_of`; None for patients, for whom the limit is unknown."""
    if any(case.truth is None for case in cases):
        return None
    if all("shared" in case.truth for case in cases):
        return [case.truth["shared"] for case in cases]
    return np.array([case.truth["latents"] for case in cases], dtype=np.float64)
