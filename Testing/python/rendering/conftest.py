"""Every test here draws off-screen; where that is not possible they are skipped, with the reason."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def rendering() -> None:
    """Skip without off-screen OpenGL: asked in a process of its own, since it may crash rather than fail."""
    from host.pictures import missing_rendering

    reason = missing_rendering()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def host():
    """The booted host with an empty scene, in which VTK must not have reported an error."""
    from host.boot import boot

    host = boot()
    host.reset()
    yield host
    host.errors.assert_none()
    host.reset()
