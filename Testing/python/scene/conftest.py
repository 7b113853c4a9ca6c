"""Fixtures: a booted scene, closed after each test, in which VTK must not have reported an error; and a case in it."""

from __future__ import annotations

import pytest

from support.scene_cases import make_case


@pytest.fixture
def host():
    """The booted host with an empty scene."""
    from host.boot import boot

    host = boot()
    host.reset()
    yield host
    host.errors.assert_none()
    host.reset()


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


@pytest.fixture(scope="session")
def worker():
    """The process that computes for all tests which are not about its start or its end."""
    from support.kept_worker import KeptWorker

    kept = KeptWorker()
    yield kept
    kept.end()


@pytest.fixture
def dispatcher(worker):
    """The way to it for one test; what the test has left running is stopped."""
    from REACTKDLib.core.worker.dispatcher import JobDispatcher

    made = JobDispatcher(worker)
    yield made
    made.close()


@pytest.fixture
def fixer(scene, dispatcher):
    """Proposes, accepts and undoes fixes of masks in the test's scene."""
    from REACTKDLib.scene.mask_fixes import MaskFixer

    made = MaskFixer(scene, dispatcher)
    yield made
    made.close()
