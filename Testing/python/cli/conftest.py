"""Cases and a model on disk, made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from REACTKDLib.core.bundle import Bundle
from support.case_files import write_case
from support.small_cases import small_case
from support.small_models import metadata_for, random_student

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory) -> Path:
    """A bundle with random weights."""
    folder = tmp_path_factory.mktemp("bundle") / "model"
    student = random_student()
    Bundle.save(folder, student, metadata_for(student))
    return folder


@pytest.fixture(scope="session")
def case_folder(tmp_path_factory) -> Path:
    """The small case as files."""
    return write_case(small_case(), tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="session")
def run_command():
    """Run `python -m REACTKDLib` as a user does; returns the finished process with text output."""

    def run(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        import os

        return subprocess.run(
            [sys.executable, "-m", "REACTKDLib", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "REACTKD"), "OMP_NUM_THREADS": "1", **environment},
            timeout=300,
        )

    return run
