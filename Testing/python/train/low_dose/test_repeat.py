"""The same seed gives the same noise however the simulator is called, and what must stay unchanged is unchanged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from REACTKDLib.core.errors import Canceled
from REACTKDTrainLib.low_dose.simulator import LowDoseCT

PLACE = dict(spacing_mm=2.8, thickness_mm=3.0)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, np.dtype(">i2")])
def test_full_dose_returns_the_input(small, slices, dtype):
    hu = slices.astype(dtype)
    out = small(hu, **PLACE, dose=1.0)
    assert out.dtype == np.float32 and np.array_equal(out, hu.astype(np.float32))


def test_same_seed_repeats_every_bit(small, slices):
    first, second = (small(slices, **PLACE, dose=0.1, seed=5) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_another_simulator_repeats_every_bit(small, slices):
    again = LowDoseCT(size=128, views=180)
    assert again(slices, **PLACE, dose=0.1).tobytes() == small(slices, **PLACE, dose=0.1).tobytes()


@pytest.mark.parametrize("batch", [1, 2, 4, 16])
def test_batch_size_does_not_matter(small, slices, batch):
    other = LowDoseCT(size=128, views=180, batch=batch)
    difference = other(slices, **PLACE, dose=0.1, seed=2) - small(slices, **PLACE, dose=0.1, seed=2)
    assert np.abs(difference).max() <= 1e-3


@pytest.mark.parametrize("increment_mm", [3.0, 2.0, 1.0])
def test_slice_by_slice_does_not_matter(small, slices, increment_mm):
    options = dict(**PLACE, dose=0.1, seed=2, increment_mm=increment_mm)
    whole = small(slices, **options)
    apart = np.concatenate([small(slices[i : i + 1], **options, first_slice=i) for i in range(len(slices))])
    assert np.abs(whole - apart).max() <= 1e-3


@pytest.mark.parametrize("increment_mm", [3.0, 1.5])
def test_fields_slice_by_slice_do_not_matter(small, slices, increment_mm):
    options = dict(**PLACE, seed=2, increment_mm=increment_mm)
    for whole, part in zip(small.fields(slices, **options), small.fields(slices[3:5], **options, first_slice=3)):
        assert np.abs(whole[3:5] - part).max() <= 1e-3


def test_seeds_and_slices_are_independent(small, slices):
    one, other = (small(slices, **PLACE, dose=0.1, seed=seed) - slices for seed in (0, 1))
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(one[:-1].ravel(), one[1:].ravel())[0, 1]) < 0.03


def test_the_two_fields_are_independent(small, slices):
    quantum, electronic = small.fields(slices, **PLACE)
    assert abs(np.corrcoef(quantum.ravel(), electronic.ravel())[0, 1]) < 0.03


def test_the_input_is_not_changed(small, slices):
    before = slices.copy()
    slices.setflags(write=False)
    small(slices, **PLACE, dose=0.1)
    small.fields(slices, **PLACE)
    small.calibrate(slices, **PLACE)
    assert np.array_equal(slices, before)


def test_tensors_are_returned_as_tensors(small, slices):
    out = small(torch.from_numpy(slices), **PLACE, dose=0.1)
    assert isinstance(out, torch.Tensor)
    np.testing.assert_array_equal(out.numpy(), small(slices, **PLACE, dose=0.1))


def test_padding_is_left_alone(small, slices):
    y, x = np.mgrid[:128, :128] - 63.5
    outside = x**2 + y**2 > 63**2
    slices[:, outside] = -2048
    low = small(slices, **PLACE, dose=0.05)
    assert np.all(low[:, outside] == -2048) and np.all(low[:, 64, 64] != slices[:, 64, 64])
    for field in small.fields(slices, **PLACE):
        assert np.all(field[:, outside] == 0)


def test_slices_that_are_not_square_are_padded_with_air(small, slices):
    """The body lies in rows 21 to 106: cropping rows of air leaves the noise unchanged."""
    whole = small(slices, **PLACE, dose=0.1)
    cut = small(slices[:, 12:116], **PLACE, dose=0.1)
    np.testing.assert_allclose(cut, whole[:, 12:116], atol=0.05)


def test_a_single_slice_is_enough(small, slices):
    assert small(slices[:1], **PLACE, dose=0.25).shape == (1, 128, 128)


def test_an_even_bowtie_filter_is_less_fluence(small, slices):
    half = LowDoseCT(size=128, views=180, bowtie=lambda s: np.full_like(s, 0.5))
    for found, plain, power in zip(half.fields(slices, **PLACE), small.fields(slices, **PLACE), (0.5, 1.0)):
        np.testing.assert_allclose(found, plain * 2**power, rtol=1e-3, atol=1e-3)


def test_a_bowtie_filter_raises_the_noise_at_the_edge_only(small, slices):
    shaped = LowDoseCT(size=128, views=180, bowtie=lambda s: np.exp(-((s / 120.0) ** 2)))
    (plain, _), (found, _) = (simulator.fields(slices, **PLACE) for simulator in (small, shaped))
    middle, edge = np.s_[:, 56:72, 60:68], np.s_[:, 56:72, 8:16]
    assert found[middle].std() == pytest.approx(plain[middle].std(), rel=0.05)
    assert found[edge].std() > 1.1 * plain[edge].std()


def test_progress_reaches_the_end_and_work_can_be_stopped(slices):
    simulator, seen = LowDoseCT(size=128, views=180, batch=2), []
    simulator(slices, **PLACE, on_progress=lambda fraction, text: seen.append(fraction))
    assert seen == pytest.approx([1 / 3, 2 / 3, 1.0])

    def stop(fraction: float, text: str) -> None:
        raise Canceled(text)

    with pytest.raises(Canceled, match="slice 2 of 6"):
        simulator(slices, **PLACE, on_progress=stop)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_graphics_card_gives_the_same_noise(small, slices):
    there = LowDoseCT(size=128, views=180, device="cuda")
    difference = there(slices, **PLACE, dose=0.1) - small(slices, **PLACE, dose=0.1)
    assert np.abs(difference).max() < 0.02
    assert np.abs(there(slices, **PLACE, dose=0.1) - there(slices, **PLACE, dose=0.1)).max() <= 1e-3
