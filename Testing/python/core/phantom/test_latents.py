"""The Bayes posterior: it reproduces the published limits and agrees with Bayes' rule."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom.latents import (
    DENSITIES,
    PREVALENCE,
    Latents,
    bayes_posterior,
    draw_latents,
    log_likelihood,
    posterior,
)

CT, FDG, ACETATE = Modality.CT, Modality.FDG, Modality.ACETATE
N = 200_000

# modalities, latents left out, AUC macro / well / moderate / poor, accuracy: what the densities were tuned to reach
LIMITS = [
    ((CT,), (), (0.841, 0.880, 0.741, 0.901), 0.682),
    ((FDG,), (), (0.863, 0.887, 0.775, 0.928), 0.711),
    ((ACETATE,), (), (0.813, 0.852, 0.705, 0.882), 0.653),
    ((FDG, ACETATE), (), (0.900, 0.918, 0.831, 0.952), 0.761),
    ((CT, FDG), (), (0.914, 0.930, 0.852, 0.958), 0.778),
    ((CT, FDG, ACETATE), (), (0.936, 0.947, 0.889, 0.971), 0.814),
    ((CT,), ("lesions",), (0.797, 0.845, 0.683, 0.862), 0.636),
    ((CT, FDG, ACETATE), ("lesions",), (0.922, 0.937, 0.865, 0.963), 0.791),
    (
        (CT,),
        ("ln_texture_mm", "capsule_hu", "ln_margin"),
        (0.745, 0.791, 0.627, 0.817),
        0.586,
    ),
    ((FDG, ACETATE), ("ln_fdg_rim",), (0.886, 0.907, 0.808, 0.942), 0.740),
]


@pytest.fixture(scope="module")
def population():
    rng = np.random.default_rng(20261123)
    grade = rng.choice(3, size=N, p=PREVALENCE["hospital"])
    latents = {name: rng.normal(np.asarray(m)[grade], sd) for name, (m, sd, _) in DENSITIES.items()}
    count = np.zeros(N, dtype=int)
    for g, rate in enumerate((0.4, 1.0, 2.1)):
        rows = np.flatnonzero(grade == g)
        while rows.size:  # truncated at five by redrawing
            count[rows] = rng.poisson(rate, rows.size)
            rows = rows[count[rows] > 5]
    return grade, latents | {"lesions": 1 + count}


@pytest.mark.parametrize(("seen", "without", "auc", "accuracy"), LIMITS)
def test_limits_of_the_specification(population, seen, without, auc, accuracy):
    grade, latents = population
    p = posterior(latents, seen, without=without)
    each = [roc_auc_score(grade == c, p[:, c]) for c in range(3)]
    assert np.allclose((np.mean(each), *each), auc, atol=0.003)
    assert abs((p.argmax(1) == grade).mean() - accuracy) < 0.003


def test_posterior_is_calibrated(population):
    grade, latents = population
    p = posterior(latents, (CT, FDG, ACETATE))[:, 2]
    for low in (0.1, 0.4, 0.7):
        rows = (p > low) & (p < low + 0.1)
        assert abs((grade[rows] == 2).mean() - p[rows].mean()) < 0.02


def test_absent_modalities_do_not_change_the_likelihood():
    latents = draw_latents(np.random.default_rng(0), 1).to_dict()
    moved = latents | {"ln_fdg_ratio": 9.0, "ln_acetate_ratio": -9.0}
    assert np.array_equal(log_likelihood(latents, [CT]), log_likelihood(moved, [CT]))
    assert not np.allclose(log_likelihood(latents, [CT, FDG]), log_likelihood(moved, [CT, FDG]))


def test_one_case_by_hand():
    """Two latents shifted from the center of 'moderate' by known amounts, the rest left out."""
    names = set(DENSITIES) - {"ln_fdg_ratio"}
    latents = Latents(1, 0.32, *([0.0] * 8))
    p = posterior({k: np.asarray(v) for k, v in latents.to_dict().items()}, [FDG], without=(*names, "lesions"))
    density = np.exp(-0.5 * ((0.32 - np.array([0.0, 0.32, 0.74])) / 0.31) ** 2) * [0.25, 0.5, 0.25]
    assert np.allclose(p, density / density.sum())


def test_one_patient_sums_to_one():
    p = bayes_posterior(draw_latents(np.random.default_rng(1), 2), [CT], "external")
    assert p.shape == (3,) and np.isclose(p.sum(), 1)
