"""Model folders: metadata and weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

from fuzz.mutations import cut, damaged_bytes, damaged_json, json_bytes
from fuzz.targets import Wrong
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.student.bundle import METADATA, WEIGHTS, Bundle
from support.small_cases import small_case
from support.small_models import metadata_for, random_student

_good: list[Path] = []


def prepare(folder: Path) -> None:
    """A small student with random weights."""
    student = random_student()
    Bundle.save(folder / "bundle", student, metadata_for(student))
    _good[:] = [folder / "bundle"]


def make(rng: Random, folder: Path) -> Path:
    """Damage metadata (most of the inputs) or weights."""
    home = folder / "bundle"
    shutil.copytree(_good[0], home)
    if rng.random() < 0.7:
        path = home / METADATA
        path.write_bytes(json_bytes(damaged_json(json.loads(path.read_text()), rng), rng))
    else:
        path = home / WEIGHTS
        data = path.read_bytes()
        path.write_bytes(cut(data, rng) if rng.random() < 0.2 else damaged_bytes(data, rng))
    return home


def replay(file: Path, folder: Path) -> Path:
    """Metadata that once failed, in a good bundle."""
    home = folder / "bundle"
    shutil.copytree(_good[0], home)
    shutil.copy(file, home / METADATA)
    return home


def ask(path: Path) -> str:
    """Load and grade."""
    bundle = Bundle.load(path)
    result = Grader(bundle).open(small_case()).grade()
    if len(bundle.classes) != 3 or bundle.classes != Bundle.load(_good[0]).classes:
        raise Wrong(f"other classes were believed: {bundle.classes}")
    return result.report.grade
