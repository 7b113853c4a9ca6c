"""Fixtures: a booted scene, closed after each test, in which VTK must not have reported an error; and a case in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.scene_cases import make_case


@pytest.fixture
def scene(host):
    """The empty MRML scene."""
    return host.scene


@pytest.fixture(scope="session")
def case():
    """The hand-made case."""
    return make_case()


@pytest.fixture
def nodes(scene, case):
    """The hand-made case as nodes."""
    from REACTKDLib.scene.case import nodes_from_case

    return nodes_from_case(scene, case)


@pytest.fixture
def dispatcher(worker):
    """A job dispatcher to the shared worker, for one test; jobs that the test leaves running are stopped."""
    from REACTKDLib.core.worker.dispatcher import JobDispatcher

    made = JobDispatcher(worker)
    yield made
    made.close()


@pytest.fixture(scope="session")
def three_cases(tmp_path_factory) -> Path:
    """A folder of three small cases: a, b, c."""
    from support.reading_steps import write_cases

    return write_cases(tmp_path_factory.mktemp("files"), "a", "b", "c")


@pytest.fixture
def listed(three_cases, tmp_path) -> Path:
    """A copy of the three cases, so that the test can write next to them."""
    return Path(shutil.copytree(three_cases, tmp_path / "cases"))


@pytest.fixture
def start(scene, worker):
    """A function that opens a list for a named reader. Each list after the first gets its own worker process."""
    from REACTKDLib.core.worker.dispatcher import JobDispatcher
    from REACTKDLib.scene.reading import Reading

    started = []

    def begin(path: Path, reader: str = "") -> Reading:
        started.append(Reading(scene, JobDispatcher(None if started else worker)))
        started[-1].read_as(reader)
        started[-1].open_list(path)
        return started[-1]

    yield begin
    for reading in started:
        reading.close()


@pytest.fixture
def fixer(scene, dispatcher):
    """Proposes, accepts and undoes mask fixes in the test's scene."""
    from REACTKDLib.scene.mask_fixes import MaskFixer

    made = MaskFixer(scene, dispatcher)
    yield made
    made.close()


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """A student small enough to answer at once; tests that must interrupt a running job use the shipped one."""
    from support.worker_runs import save_small_model

    return save_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def controller(scene, dispatcher, small_model):
    """A grading controller with the small model."""
    from REACTKDLib.scene.grading import GradingController

    made = GradingController(scene, dispatcher, small_model)
    yield made
    made.close()
