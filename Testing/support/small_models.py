"""A small student with random weights for tests, whose outputs depend on all of its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.bundle_metadata import complete_metadata
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Standardize, Student
from REACTKDLib.core.student.prepare import Preparation

SMALL = {"filters": 4, "widths": (4, 4, 4), "hidden": 12}
PREPARATION = Preparation(shape=(24, 24, 32), spacing_mm=5.0)


def random_student(seed: int = 0, **changes: Any) -> Student:
    """Return a student with all weights random, without the zeros of the initialization."""
    torch.manual_seed(seed)
    student = Student(StudentConfig(**(SMALL | changes)))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.25 * torch.randn(parameter.shape))
        for module in student.modules():
            if isinstance(module, Standardize):
                module.mean.normal_(0.0, 0.5)
                module.scale.uniform_(2.0, 4.0)
    return student.eval().requires_grad_(False)


def metadata_for(student: Student, **changes: Any) -> dict[str, Any]:
    """Return the metadata of `student` for `Bundle.save`; `changes` go under "reactkd"."""
    classes = ["well", "moderate", "poor"][: student.config.classes]
    ours = {
        "name": "reactkd-test",
        "version": "1.0",
        "clinical_use": "random weights: not for clinical use",
        "classes": classes,
        "organ": "Liver",
        "lesion": "Tumor",
        "modalities": list(student.config.modalities),
        "preparation": PREPARATION.to_metadata(),
    }
    return {"reactkd": ours | changes}


def write_small_model(folder: Path, seed: int = 0, **info: Any) -> Path:
    """Write a fast model with random weights into a folder; return the folder. info: as in `metadata_for`."""
    student = random_student(seed)
    Bundle.save(folder, student, metadata_for(student, **info))
    return folder


def small_bundle(seed: int = 0, info: dict[str, Any] | None = None, **changes: Any) -> Bundle:
    """Return a bundle in memory. info: changes under "reactkd"; the rest goes to `StudentConfig`."""
    student = random_student(seed, **changes)
    metadata = metadata_for(student, **(info or {}))
    shape = metadata["reactkd"]["preparation"]["shape"]
    return Bundle(complete_metadata(metadata, student=student.config.to_dict(), sha256="0" * 64, shape=shape), student)
