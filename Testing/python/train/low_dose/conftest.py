"""A simulator for tests that take milliseconds, and a body to scan with it."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDTrainLib.low_dose.simulator import LowDoseCT
from support.ct_objects import body


@pytest.fixture(scope="session")
def small() -> LowDoseCT:
    """128 pixels, 180 views."""
    return LowDoseCT(size=128, views=180)


@pytest.fixture
def slices() -> np.ndarray:
    """(6, 128, 128) float32 HU, pixels of 2.8 mm."""
    return body(128, 2.8, 6)


@pytest.fixture
def ct(slices) -> Volume:
    """The same as int16 volume, 2.8 x 2.8 x 5 mm, patient axes R, P, S."""
    return Volume(slices.astype(np.int16), np.diag([-2.8, -2.8, 5.0, 1.0]), Unit.HU, "the CT")


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread: None) -> None:
    """Run all these tests on one thread."""
