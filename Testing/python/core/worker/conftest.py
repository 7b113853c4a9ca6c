"""A case, a small model and a dispatcher to a worker, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.core.worker.jobs import Model
from support.small_cases import small_case
from support.worker_runs import save_small_model


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Model:
    """A model with random weights, on disk."""
    return save_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def case() -> Case:
    """The small case."""
    return small_case()


@pytest.fixture(scope="session")
def dispatcher() -> Iterator[JobDispatcher]:
    """A dispatcher for the worker, shared by the tests of all files that do not test its start or its end."""
    made = JobDispatcher()
    yield made
    made.close()
