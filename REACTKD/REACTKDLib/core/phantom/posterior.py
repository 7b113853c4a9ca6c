"""The exact posterior of the grade, and of which lesion decides it, in the shared biology, by quadrature over m.

Given m the lesions are independent and Gaussian, so P(max t <= c | data) is the integral over m of p(m | data) times
the product of Phi((c - mu) / sigma) over the lesions. No method that sees only the images can be better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom.biology_shared import HETEROGENEITY, QUANTILES, SHOWN, SharedLatents, thresholds
from REACTKDLib.core.phantom.latents import PREVALENCE

#: nodes of m; the integrands are smooth, so the trapezoidal rule on these is accurate to 1e-4
NODES = np.linspace(-4.5, 4.5, 61)
#: if the lesions of a liver hardly differ, t follows m within a step of `NODES`, and sums over these are off by 0.003
FINE_NODES, FINE_BELOW = np.linspace(-4.5, 4.5, 121), 0.2
_CHUNK = 512


class Evidence(NamedTuple):
    """The evidence of the images on the lesions: y (n, L) estimates t with variance 1 / precision; present (n, L)
    bool.
    """

    y: np.ndarray
    precision: float
    present: np.ndarray


class _Given(NamedTuple):
    """Quantities at the nodes of m: their weights (n, M), and the normal distribution of each t: mu (n, M, L),
    sigma.
    """

    weight: np.ndarray
    mu: np.ndarray
    sigma: float


def evidence_of(
    latents: Mapping[str, np.ndarray],
    modalities: Iterable[Modality | str],
    without: Iterable[str] = (),
    also: Iterable[str] = (),
) -> Evidence:
    """Reduce all latents of each lesion that `modalities` show to one number.

    latents: name -> (n, L), NaN where a patient has fewer lesions. without: names left out. also: names added, such as
    'ln_margin', which a mask shows with any images.
    """
    seen, skip, more = {Modality(m) for m in modalities}, set(without), set(also)
    present = np.isfinite(np.asarray(latents["ln_margin"], dtype=np.float64))
    total, weight = np.zeros(present.shape), 0.0
    for name, of in SHOWN.items():
        if name not in skip and (of.seen in seen or name in more):
            own = (of.b / of.s) ** 2
            total += own * (np.nan_to_num(np.asarray(latents[name], dtype=np.float64)) - of.a) / of.b
            weight += own
    return Evidence(np.where(present, total / weight if weight else 0.0, 0.0), weight, present)


def _given(y: np.ndarray, precision: float, h: float) -> _Given:
    """y: (n, L), of patients who have all L lesions."""
    nodes = FINE_NODES if h < FINE_BELOW else NODES
    r, spread = np.sqrt(1 - h * h), 1 + h * h * precision
    distance = (y[:, None, :] - r * nodes[:, None]) ** 2
    log_weight = -0.5 * (nodes**2 + distance.sum(axis=2) * precision / spread)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    mu = (r * nodes[:, None] + h * h * precision * y[:, None, :]) / spread
    return _Given(weight / weight.sum(axis=1, keepdims=True), mu, h / np.sqrt(spread))


def _reweighted(joint: np.ndarray, cohort: str) -> np.ndarray:
    """Convert from the prevalence of the definition to a cohort's, normalized; the last axis is the grade."""
    own = np.diff([0.0, *QUANTILES, 1.0])
    joint = joint * (np.asarray(PREVALENCE.get(cohort, own)) / own)
    return joint / joint.sum(axis=tuple(range(1, joint.ndim)), keepdims=True)


def _single_level(evidence: Evidence, limits: tuple[float, float]) -> np.ndarray:
    """Return (n, 3) if all lesions have the t of their patient (heterogeneity 0): m is normal."""
    from scipy.special import ndtr

    precision = 1 + evidence.present.sum(axis=1) * evidence.precision
    mean = evidence.precision * (evidence.y * evidence.present).sum(axis=1) / precision
    below = ndtr((np.asarray(limits) - mean[:, None]) * np.sqrt(precision)[:, None])
    return np.diff(below, prepend=0.0, append=1.0, axis=1)


def grade_posterior(evidence: Evidence, heterogeneity: float = HETEROGENEITY, cohort: str = "hospital") -> np.ndarray:
    """Probabilities (n, 3) of well, moderate and poor."""
    from scipy.special import ndtr

    limits = thresholds(heterogeneity)
    if heterogeneity == 0:
        return _reweighted(_single_level(evidence, limits), cohort)
    out = np.empty((len(evidence.y), 3))
    for rows, _, y in _groups(evidence):
        given = _given(y, evidence.precision, heterogeneity)
        below = [(given.weight * ndtr((c - given.mu) / given.sigma).prod(axis=2)).sum(axis=1) for c in limits]
        out[rows] = np.diff(np.stack(below, axis=1), prepend=0.0, append=1.0, axis=1).clip(0)
    return _reweighted(out, cohort)


def deciding_posterior(
    evidence: Evidence, heterogeneity: float = HETEROGENEITY, cohort: str = "hospital"
) -> np.ndarray:
    """Return the probability (n, L) that each lesion has the largest t, the upper limit for any explanation.

    A second quadrature, over t of the deciding lesion, uses Gauss-Legendre nodes between the thresholds of the grades.
    Without heterogeneity all lesions are alike and have equal probability.
    """
    from scipy.special import ndtr

    if heterogeneity == 0:
        return evidence.present / evidence.present.sum(axis=1, keepdims=True)
    nodes, weights, grade = _between(thresholds(heterogeneity))
    out = np.zeros(evidence.y.shape)
    for rows, lesions, y in _groups(evidence, _CHUNK // 8):
        given = _given(y, evidence.precision, heterogeneity)
        joint = np.empty((*y.shape, 3))
        z = (nodes - given.mu[..., None]) / given.sigma  # (n, M, L, T)
        below = ndtr(z)
        for place in range(z.shape[2]):
            others = np.delete(below, place, axis=2).prod(axis=2)
            density = np.exp(-0.5 * z[:, :, place] ** 2) / (given.sigma * np.sqrt(2 * np.pi))
            at = np.einsum("nm,nmt->nt", given.weight, density * others) * weights
            joint[:, place] = np.stack([at[:, grade == g].sum(axis=1) for g in range(3)], axis=1)
        out[np.ix_(rows, lesions)] = _reweighted(joint, cohort).sum(axis=2)
    return out


@lru_cache
def _between(limits: tuple[float, float], count: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return nodes and weights of t from -6 to 6 in three pieces, and the grade of each."""
    x, w = np.polynomial.legendre.leggauss(count)
    edges = (-6.0, *limits, 6.0)
    half = np.diff(edges) / 2
    nodes = np.concatenate([low + h * (x + 1) for low, h in zip(edges, half, strict=False)])
    return nodes, np.concatenate([h * w for h in half]), np.repeat(np.arange(3), count)


def _groups(evidence: Evidence, size: int = _CHUNK) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield up to `size` patients with the same lesions: their rows, the columns of these lesions, and y of both. Most
    patients have far fewer lesions than the table has columns.
    """
    patterns, of_row = np.unique(evidence.present, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        own, lesions = np.flatnonzero(of_row.ravel() == number), np.flatnonzero(pattern)
        for start in range(0, len(own), size):
            rows = own[start : start + size]
            yield rows, lesions, evidence.y[np.ix_(rows, lesions)]


def lesion_table(patients: Iterable[SharedLatents]) -> dict[str, np.ndarray]:
    """Return name -> (n, L) for several patients, NaN beyond a patient's lesions, as `evidence_of` needs it."""
    patients = list(patients)
    most = max(latents.lesions for latents in patients)
    table = {name: np.full((len(patients), most), np.nan) for name in SHOWN}
    for row, latents in enumerate(patients):
        for name, column in table.items():
            column[row, : latents.lesions] = [getattr(lesion, name) for lesion in latents.each]
    return table


def shared_posterior(
    latents: SharedLatents, modalities: Iterable[Modality | str], cohort: str = "hospital"
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for one patient, the probabilities (3,) of the grades and (L,) that each lesion decides, given these
    images.
    """
    evidence = evidence_of(lesion_table([latents]), modalities)
    h = latents.heterogeneity
    return grade_posterior(evidence, h, cohort)[0], deciding_posterior(evidence, h, cohort)[0]
