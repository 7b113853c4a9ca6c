"""Every test here renders off-screen; where that is not possible, the tests are skipped with the reason."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def rendering() -> None:
    """Skip without off-screen OpenGL. The check runs in its own process, since it may crash rather than fail."""
    from host.pictures import missing_rendering

    reason = missing_rendering()
    if reason:
        pytest.skip(reason)
