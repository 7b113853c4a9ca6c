"""A model folder for the tests of this folder, which may change it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from REACTKDLib.core.student.bundle import Bundle
from support.small_models import metadata_for, random_student


@pytest.fixture(scope="session")
def saved_once(tmp_path_factory) -> Path:
    """A model with random weights, as `Bundle.save` writes it."""
    student, model = random_student(4), tmp_path_factory.mktemp("saved") / "model"
    Bundle.save(model, student, metadata_for(student))
    return model


@pytest.fixture
def folder(saved_once, tmp_path) -> Path:
    """A copy of it, as saving waits for the disk."""
    return shutil.copytree(saved_once, tmp_path / "model")
