"""The latent variables through which the grade acts, their densities per grade, and the exact posterior.

The grade affects the images only through these numbers, which are independent given the grade. Bayes' rule on them is
therefore the best that any method can achieve on the images. The densities were tuned once so that this limit has the
form of Table III of arXiv 2508.02104.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import lgamma, log

import numpy as np

from REACTKDLib.core.modality import Modality

PREVALENCE = {"hospital": (0.25, 0.50, 0.25), "external": (0.46, 0.38, 0.16)}
MAX_EXTRA_LESIONS = 5
EXTRA_LESIONS_RATE = (0.4, 1.0, 2.1)

#: name -> (mean per grade, standard deviation, modalities that show it)
_ALL = frozenset(Modality)
DENSITIES: dict[str, tuple[tuple[float, float, float], float, frozenset[Modality]]] = {
    "ln_fdg_ratio": ((0.00, 0.32, 0.74), 0.31, frozenset({Modality.FDG})),
    "ln_fdg_rim": ((0.00, 0.22, 0.52), 0.40, frozenset({Modality.FDG})),
    "ln_acetate_ratio": ((0.68, 0.43, 0.13), 0.28, frozenset({Modality.ACETATE})),
    "contrast_hu": ((-13.0, -18.0, -23.0), 14.0, frozenset({Modality.CT})),
    "logit_necrosis": ((-2.7, -2.4, -2.0), 1.1, frozenset({Modality.CT})),
    "ln_texture_mm": ((log(15), log(11.5), log(8.5)), 0.42, frozenset({Modality.CT})),
    "capsule_hu": ((18.0, 11.0, 4.0), 12.0, frozenset({Modality.CT})),
    "ln_margin": ((log(0.07), log(0.09), log(0.12)), 0.45, frozenset({Modality.CT})),
    "ln_diameter_mm": ((log(30), log(33), log(37)), 0.45, _ALL),
}


@dataclass(frozen=True)
class Latents:
    """The truth of one patient. Lengths in mm, contrasts in HU, ratios in natural logarithms."""

    lesions: int
    ln_fdg_ratio: float
    ln_fdg_rim: float
    ln_acetate_ratio: float
    contrast_hu: float
    logit_necrosis: float
    ln_texture_mm: float
    capsule_hu: float
    ln_margin: float
    ln_diameter_mm: float

    def to_dict(self) -> dict[str, float]:
        """Return the latents by name."""
        return asdict(self)


def _ln_count_probability(extra: np.ndarray, grade: int) -> np.ndarray:
    """Log probability of `extra` lesions beside the first: Poisson, cut at 5, renormalized."""
    rate = EXTRA_LESIONS_RATE[grade]
    table = np.array([k * log(rate) - rate - lgamma(k + 1) for k in range(MAX_EXTRA_LESIONS + 1)])
    return (table - np.log(np.exp(table).sum()))[np.asarray(extra, dtype=int)]


def draw_grade(rng: np.random.Generator, cohort: str = "hospital") -> int:
    """Draw a grade index (0 well, 1 moderate, 2 poor) by the prevalence of `cohort`."""
    return int(rng.choice(3, p=PREVALENCE.get(cohort, PREVALENCE["hospital"])))


def draw_latents(rng: np.random.Generator, grade: int) -> Latents:
    """Draw the latents of one patient of the given grade index."""
    table = np.exp([_ln_count_probability(k, grade) for k in range(MAX_EXTRA_LESIONS + 1)])
    count = 1 + int(rng.choice(MAX_EXTRA_LESIONS + 1, p=table / table.sum()))
    values = {name: float(rng.normal(means[grade], sd)) for name, (means, sd, _) in DENSITIES.items()}
    return Latents(lesions=count, **values)


def log_likelihood(
    latents: dict[str, np.ndarray],
    modalities: Iterable[Modality],
    without: Iterable[str] = (),
    also: Iterable[str] = (),
) -> np.ndarray:
    """Return the log density of the latents that `modalities` show, for each grade.

    latents: name -> (n,) arrays (or scalars). without: names left out of the sum; also: names added to it, such as
    'ln_margin', which a mask shows with any images. Returns (n, 3).
    """
    seen = frozenset(Modality(m) for m in modalities)
    skip, more = frozenset(without), frozenset(also)
    shape = np.shape(latents["lesions"])
    total = np.zeros((*shape, 3))
    for grade in range(3):
        if "lesions" not in skip:
            total[..., grade] += _ln_count_probability(np.asarray(latents["lesions"]) - 1, grade)
        for name, (means, sd, shown_by) in DENSITIES.items():
            if name not in skip and (seen & shown_by or name in more):
                total[..., grade] -= 0.5 * ((np.asarray(latents[name]) - means[grade]) / sd) ** 2
    return total


def posterior(
    latents: dict[str, np.ndarray],
    modalities: Iterable[Modality],
    cohort: str = "hospital",
    without: Iterable[str] = (),
    also: Iterable[str] = (),
) -> np.ndarray:
    """Exact grade probabilities (n, 3) for arrays of latents; see `log_likelihood`."""
    score = log_likelihood(latents, modalities, without, also) + np.log(PREVALENCE.get(cohort, PREVALENCE["hospital"]))
    score -= score.max(axis=-1, keepdims=True)
    weight = np.exp(score)
    return weight / weight.sum(axis=-1, keepdims=True)


def bayes_posterior(latents: Latents, modalities: Iterable[Modality], cohort: str = "hospital") -> np.ndarray:
    """Exact probabilities (3,) of well, moderate, poor, given the latents that `modalities` show."""
    return posterior({k: np.asarray(v) for k, v in latents.to_dict().items()}, modalities, cohort)
