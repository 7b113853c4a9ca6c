"""Fixtures shared by the training tests."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

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


@pytest.fixture(scope="session", autouse=True)
def prepared_once(drawn_once: None) -> Iterator[None]:
    """Prepare each phantom once with the same settings; every test stores and reads its own arrays."""
    from REACTKDTrainLib.data import store
    from REACTKDTrainLib.data.truth import CENTERS

    own, found = store.make_arrays, {}

    def make_again(case, *settings):
        if case.liver.flags.writeable:  # not one of the shared phantoms
            return own(case, *settings)
        shared = case.liver, case.tumor, *case.volumes.values()
        rest = case.lesions, case.keep_specks, case.task, case.derived.get(CENTERS), *settings
        key = *map(id, shared), sha256(pickle.dumps(rest)).digest()
        if key not in found:
            found[key] = own(case, *settings), shared  # keeps the objects, so that no other gets their ids
        return {name: array.copy() for name, array in found[key][0].items()}

    store.make_arrays = make_again
    yield
    store.make_arrays = own


@pytest.fixture(scope="session", autouse=True)
def operators_made_once() -> Iterator[None]:
    """Make the matrices of each geometry of a CT simulator once; nothing changes them."""
    from REACTKDTrainLib.low_dose import line_integrals, simulator

    own = simulator.BackProjector, line_integrals.Projector
    simulator.BackProjector, line_integrals.Projector = (lru_cache(maxsize=None)(one) for one in own)
    yield
    simulator.BackProjector, line_integrals.Projector = own
