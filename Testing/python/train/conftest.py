"""Fixtures shared by the training tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import pytest


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Draw and scan each phantom once: the cohorts of all tests consist of a hundred patients, most used many times.

    Every test gets its own case and its own truth; the voxels are shared and read-only.
    """
    from REACTKDTrainLib.cohorts import phantom

    own = phantom.draw_patient, phantom.acquire
    acquire = lru_cache(maxsize=None)(phantom.acquire)

    def acquire_again(*arguments, **options):
        found = acquire(*arguments, **options)
        for array in (found.case.liver, found.case.tumor, *(v.array for v in found.case.volumes.values())):
            array.flags.writeable = False
        return replace(found, case=replace(found.case), truth=dict(found.truth))

    phantom.draw_patient, phantom.acquire = lru_cache(maxsize=None)(phantom.draw_patient), acquire_again
    yield
    phantom.draw_patient, phantom.acquire = own
