"""The second edition's biology: one process behind all images, lesions that differ, and a grade determined by the worst
lesion.

A patient has a level m, and each lesion its own dedifferentiation t = sqrt(1 - h^2) m + h e, m and e standard normal; h
is the heterogeneity. The grade follows from the largest t, whose lesion is the deciding one, as a pathologist grades
the worst part. A lesion shows x = a + b t + s eps in each latent, independent given t. One image of a lesion is
therefore informative about the others, which the biology of `latents` excludes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import factorial, log, sqrt
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.modality import Modality

HETEROGENEITY = 0.6
EXTRA_LESIONS_RATE, MAX_EXTRA_LESIONS = 1.1, 5
#: fractions of well and moderate; they define the thresholds on the largest t
QUANTILES = (0.25, 0.75)
_DIAMETER = (log(33), 0.45)


class Shown(NamedTuple):
    """A latent of a lesion is a + b t + s eps; `seen` states in which image."""

    a: float
    b: float
    s: float
    seen: Modality


SHOWN: Mapping[str, Shown] = {
    "contrast_hu": Shown(-18.0, -5.0, 11.2, Modality.CT),
    "logit_necrosis": Shown(-2.4, 0.35, 1.11, Modality.CT),
    "ln_texture_mm": Shown(log(11.5), -0.25, 0.43, Modality.CT),
    "capsule_hu": Shown(11.0, -6.5, 11.9, Modality.CT),
    "ln_margin": Shown(log(0.09), 0.19, 0.46, Modality.CT),
    "ln_fdg_ratio": Shown(0.35, 0.30, 0.254, Modality.FDG),
    "ln_fdg_rim": Shown(0.25, 0.22, 0.348, Modality.FDG),
    "ln_acetate_ratio": Shown(0.41, -0.25, 0.28, Modality.ACETATE),
}


@dataclass(frozen=True)
class LesionLatents:
    """The dedifferentiation t of one lesion and its latents: HU, mm, and natural logarithms of ratios."""

    t: float
    contrast_hu: float
    logit_necrosis: float
    ln_texture_mm: float
    capsule_hu: float
    ln_margin: float
    ln_fdg_ratio: float
    ln_fdg_rim: float
    ln_acetate_ratio: float


@dataclass(frozen=True)
class SharedLatents:
    """The truth of one patient. severity: m. ln_diameter_mm: of the main lesion, the first, whatever the grade is.

    Example:
        >>> latents = draw_shared(np.random.default_rng(0))
        >>> GRADES[latents.grade], latents.deciding
    """

    heterogeneity: float
    severity: float
    each: tuple[LesionLatents, ...]
    ln_diameter_mm: float

    @property
    def lesions(self) -> int:
        """Number of lesions."""
        return len(self.each)

    @property
    def grade(self) -> int:
        """Index into `GRADES`, by the worst lesion."""
        return int(np.searchsorted(thresholds(self.heterogeneity), max(lesion.t for lesion in self.each), side="left"))

    @property
    def deciding(self) -> int | None:
        """Index of the lesion with the largest t; None if all are alike (heterogeneity 0)."""
        return int(np.argmax([lesion.t for lesion in self.each])) if self.heterogeneity else None

    def to_dict(self) -> dict:
        """The JSON form."""
        own = asdict(self)
        return {key: own[key] for key in ("heterogeneity", "severity", "ln_diameter_mm")} | {"lesions": own["each"]}


def count_probabilities() -> np.ndarray:
    """Probability of 1 to 6 lesions, (6,): one and a Poisson number of others, cut at 5 and renormalized."""
    table = np.array([EXTRA_LESIONS_RATE**k / factorial(k) for k in range(MAX_EXTRA_LESIONS + 1)])
    return table / table.sum()


def check_heterogeneity(value: float) -> float:
    """Return the value.

    Raises: UsageError for values below 0.1 except 0, or above 1, where the quadrature would not be exact.
    """
    if value != 0 and not 0.1 <= value <= 1:
        raise UsageError(f"A phantom's heterogeneity must be 0 or a number from 0.1 to 1, not {value:g}.")
    return float(value)


@lru_cache
def thresholds(heterogeneity: float) -> tuple[float, float]:
    """Return the limits of the largest t for well and for moderate, which are quantiles of its distribution.

    For 0.6 they were found by simulation and are fixed; for other values the distribution is integrated over m and
    solved for its quantiles (`Testing/python/core/phantom/test_biology_shared.py` compares both with a simulation).
    """
    if heterogeneity == HETEROGENEITY:
        return -0.3653, 0.9501
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    if heterogeneity == 0:
        return tuple(float(ndtri(q)) for q in QUANTILES)
    m = np.linspace(-8, 8, 2001)
    weight = np.exp(-m * m / 2)
    weight /= weight.sum()

    def below(c: float) -> float:
        each = ndtr((c - sqrt(1 - heterogeneity**2) * m) / heterogeneity)
        return float(sum(p * (weight * each**n).sum() for n, p in enumerate(count_probabilities(), start=1)))

    return tuple(float(brentq(lambda c, q=q: below(c) - q, -6, 6, xtol=1e-9)) for q in QUANTILES)


def _draw(rng: np.random.Generator, heterogeneity: float) -> SharedLatents:
    count = 1 + int(rng.choice(MAX_EXTRA_LESIONS + 1, p=count_probabilities()))
    severity = float(rng.normal())
    t = sqrt(1 - heterogeneity**2) * severity + heterogeneity * rng.normal(size=MAX_EXTRA_LESIONS + 1)
    each = []
    for own in t[:count]:
        values = {name: float(of.a + of.b * own + of.s * rng.normal()) for name, of in SHOWN.items()}
        each.append(LesionLatents(t=float(own), **values))
    return SharedLatents(heterogeneity, severity, tuple(each), float(rng.normal(*_DIAMETER)))


def draw_shared(
    rng: np.random.Generator, heterogeneity: float = HETEROGENEITY, grade: int | None = None
) -> SharedLatents:
    """Draw a patient; with a `grade` (index), repeat until it has that grade (exact rejection sampling).

    Raises: UsageError for an invalid heterogeneity.
    """
    check_heterogeneity(heterogeneity)
    if grade is not None and grade not in range(len(GRADES)):
        raise UsageError(f"There is no grade number {grade}; choose one of 0 to {len(GRADES) - 1}.")
    while True:
        latents = _draw(rng, heterogeneity)
        if grade is None or latents.grade == grade:
            return latents
