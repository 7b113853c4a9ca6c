"""One simulator for the small tests: 256 pixels, 360 views."""

from __future__ import annotations

import pytest
import torch
from REACTKDTrainLib.low_dose.simulator import LowDoseCT


@pytest.fixture(scope="session")
def simulator() -> LowDoseCT:
    return LowDoseCT(size=256, views=360)


@pytest.fixture(scope="session")
def small() -> LowDoseCT:
    return LowDoseCT(size=128, views=180)


@pytest.fixture(scope="session")
def full() -> LowDoseCT:
    return LowDoseCT(size=512, views=720)


@pytest.fixture(autouse=True)
def _one_thread():
    """Numbers and times of these tests do not depend on how many cores are free."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
