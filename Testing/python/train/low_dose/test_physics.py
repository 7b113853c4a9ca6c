"""Budget, variances and correlation along z: relations that hold for all values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDTrainLib.low_dose.physics import (
    PhotonBudget,
    added_std,
    attenuation,
    electronic_factor,
    electronic_std,
    quantum_factor,
    quantum_std,
)
from REACTKDTrainLib.low_dose.randomness import DIRECT, WhiteNoise, overlap_kernel

doses = st.floats(0.01, 1.0)


def test_the_reference_bin_has_the_published_budget():
    budget = PhotonBudget.of_bin(0.8, 3.0, 720)
    assert budget.i0 == pytest.approx(2.5e6) and budget.sigma_e == pytest.approx(10.0)


@given(
    bin_mm=st.floats(0.3, 3.0), thickness=st.floats(0.5, 10.0), views=st.integers(90, 2000), factor=st.floats(0.5, 4)
)
def test_budget_scales_with_area_and_electronic_noise_with_its_root(bin_mm, thickness, views, factor):
    one, other = PhotonBudget.of_bin(bin_mm, thickness, views), PhotonBudget.of_bin(bin_mm * factor, thickness, views)
    assert other.i0 == pytest.approx(factor * one.i0)
    assert other.sigma_e == pytest.approx(math.sqrt(factor) * one.sigma_e)


@given(first=doses, second=doses, p=st.floats(0.0, 12.0))
def test_two_reductions_equal_one(first, second, p):
    """The variances of a, and then of b at the budget a I0, add up to that of a b; nothing is added at a = 1."""
    p = torch.tensor([p], dtype=torch.float64)
    i0, sigma_e = 2.5e6, 10.0
    steps = added_std(p, first, i0, sigma_e) ** 2 + added_std(p, second, first * i0, sigma_e) ** 2
    once = added_std(p, first * second, i0, sigma_e) ** 2
    assert float(steps) == pytest.approx(float(once), rel=1e-9, abs=1e-18)
    assert float(added_std(p, 1.0, i0, sigma_e)) == 0.0


@given(dose=doses, p=st.floats(0.0, 12.0))
def test_the_fields_carry_the_variance_of_the_direct_route(dose, p):
    p = torch.tensor([p], dtype=torch.float64)
    fields = (quantum_factor(dose) * quantum_std(p, 1e6)) ** 2 + (
        electronic_factor(dose) * electronic_std(p, 1e6, 9)
    ) ** 2
    assert float(fields) == pytest.approx(float(added_std(p, dose, 1e6, 9) ** 2), rel=1e-9)


@given(hu=st.floats(-3024, 30000))
def test_attenuation_is_bounded(hu):
    mu = float(attenuation(torch.tensor([hu])))
    assert 0.0 <= mu <= 4 * 0.0193 + 1e-6
    if -1000 <= hu <= 3000:
        assert mu == pytest.approx(0.0193 * (1 + hu / 1000), abs=1e-6)


@given(thickness=st.floats(0.5, 10.0), increment=st.floats(0.5, 10.0))
def test_overlapping_slices_share_noise_by_their_overlap(thickness, increment):
    kernel = overlap_kernel(thickness, increment)
    assert np.sum(kernel**2) == pytest.approx(1.0)
    found = np.correlate(kernel, kernel, "full")[len(kernel) - 1 :]
    expected = np.maximum(1.0 - np.arange(len(kernel)) * increment / thickness, 0.0)
    expected[0] = 1.0
    np.testing.assert_allclose(found, expected, atol=5e-3)


@settings(max_examples=20, deadline=None)
@given(ratio=st.sampled_from([1.0, 1.25, 2.0, 2.5, 3.0]), index=st.integers(0, 10_000))
def test_white_noise_depends_on_the_slice_alone(ratio, index):
    """Whatever the order of drawing, with or without its neighbors, a slice has the same noise."""
    shape, kernel = (20, 24), overlap_kernel(ratio, 1.0)
    forward, direct = torch.empty(shape), torch.empty(shape)
    walker = WhiteNoise(shape, 3, DIRECT, kernel)
    for i in range(max(0, index - 2), index + 1):
        walker.fill(forward, i)
    WhiteNoise(shape, 3, DIRECT, kernel).fill(direct, index)
    assert torch.equal(forward, direct)


def test_correlated_noise_keeps_its_variance():
    noise, images = WhiteNoise((60, 80), 1, DIRECT, overlap_kernel(5.0, 2.0)), torch.empty(40, 60, 80)
    for i, image in enumerate(images):
        noise.fill(image, i)
    assert float(images.std()) == pytest.approx(1.0, abs=0.01)
    lag = float((images[1:] * images[:-1]).mean())
    assert lag == pytest.approx(0.6, abs=0.02)
    assert float((images[3:] * images[:-3]).mean()) == pytest.approx(0.0, abs=0.02)
