"""Which arrays are accepted as a CT in Hounsfield units."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import NotHounsfield
from REACTKDLib.core.images.hounsfield import check_hounsfield, hounsfield_fault

RNG = np.random.default_rng(3)


def body(noise: float = 12.0) -> np.ndarray:
    """Air, fat, soft tissue and bone, as in any abdominal CT."""
    array = np.full((20, 40, 40), -1000.0)
    array[:, 6:34, 6:34] = -100
    array[:, 9:31, 9:31] = 60
    array[:, 12:24, 10:20] = 110
    array[:, 26:29, 18:22] = 700
    return array + noise * RNG.standard_normal(array.shape)


def padded(value: float) -> np.ndarray:
    array = body()
    array[:, :5] = value
    return array


GOOD = {
    "body": body(),
    "body as int16": body().astype(np.int16),
    "padding -2048": padded(-2048),
    "padding -3024": padded(-3024),
    "liver crop": 110 + 12 * RNG.standard_normal((12, 20, 20)),
    "liver crop with quiet noise": 110 + 4 * RNG.standard_normal((12, 20, 20)),
    "arterial liver crop with aorta": np.where(RNG.random((12, 20, 20)) < 0.1, 350, 80) + 8 * RNG.random((12, 20, 20)),
    "metal": np.where(RNG.random((20, 40, 40)) < 0.0005, 20000, body()),
    "windowed": np.clip(body(), -160, 240),
    "chest": np.where(RNG.random((20, 40, 40)) < 0.9, -850, 40) + 15 * RNG.standard_normal((20, 40, 40)),
}  # fmt: skip
BAD = {
    "constant": np.full((5, 5, 5), 40.0),
    "padding only": np.full((5, 5, 5), -3024.0),
    "mask": (body() > 50).astype(np.uint8),
    "0..1": (np.clip(body(), -160, 240) + 160) / 400,
    "z-score": (body() - body().mean()) / body().std(),
    "8 bit": np.rint((np.clip(body(), -160, 240) + 160) / 400 * 255).astype(np.uint8),
    "no intercept": body() + 1024,
    "no intercept, clipped": np.clip(body() + 1024, 0, 4095),
    "intercept twice": body() - 1024,
    "SUV": np.abs(RNG.normal(0, 1, (20, 40, 40))) * (body() > -500) * 2,
    "Bq/ml": np.abs(RNG.normal(0, 1, (20, 40, 40))) * 5000,
    "MR": np.abs(RNG.normal(300, 200, (20, 40, 40))),
}


@pytest.mark.parametrize("name", GOOD)
def test_arrays_in_hounsfield_units_are_accepted(name):
    assert hounsfield_fault(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_other_values_are_refused(name):
    with pytest.raises(NotHounsfield, match="^The CT is not in Hounsfield units: .*; export it again"):
        check_hounsfield(BAD[name])
