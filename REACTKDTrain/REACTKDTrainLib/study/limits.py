"""The best that any method could do: the exact posterior of a phantom's latents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from REACTKDLib.core.phantom.latents import DENSITIES, posterior
from REACTKDTrainLib.cohorts.base import CohortCase

NAMES = ("lesions", *DENSITIES)


def limit_of(latents: np.ndarray, inputs: str, cohort: str = "hospital", masks: bool = True) -> np.ndarray:
    """Probabilities (n, 3) of cases with these latents (n, 10), given images ('ct+fdg'), and the masks.

    masks: methods are given masks, which show the margin whatever the images are.
    """
    densities = {name: np.asarray(latents)[:, i] for i, name in enumerate(NAMES)}
    return posterior(densities, inputs.split("+"), cohort, also=("ln_margin",) if masks else ())


def latents_of(cases: Sequence[CohortCase]) -> np.ndarray | None:
    """(n, 10) of phantoms; None for a cohort of patients, whose limit nobody knows."""
    if any(case.truth is None for case in cases):
        return None
    return np.array([case.truth["latents"] for case in cases], dtype=np.float64)
