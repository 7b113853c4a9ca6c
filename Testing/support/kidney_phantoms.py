"""A second task and its own phantom: a kidney in soft tissue with one mass, which is fat (benign) or not (malignant).

It shows that only the task file is specific to kidneys; it is not a model of a kidney.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.task import Task
from REACTKDLib.core.task_parts import Code, TaskClass

TASK_FILE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "kidney-mass.json"
KIDNEY = Task.read(TASK_FILE)
MATRIX = np.diag([5.0, 5.0, 5.0, 1.0])
MATRIX[:3, 3] = (-100.0, -100.0, -75.0)
SHAPE = (30, 40, 40)
#: HU of a mass of each class
MASS_HU = {"benign": -60.0, "malignant": 60.0}


def with_classes(*names: str) -> Task:
    """Return the kidney task with other classes."""
    classes = tuple(TaskClass(name, Code.private("class", name), name.title(), name.title()) for name in names)
    return replace(KIDNEY, name="kidney-kinds", classes=classes)


def draw(seed: int, mass_hu: float) -> tuple[Volume, np.ndarray, np.ndarray]:
    """Return CT in HU, and the masks of kidney and mass, bool (30, 40, 40), 5 mm voxels."""
    rng = np.random.default_rng(seed)
    k, j, i = np.indices(SHAPE) * 5.0 - np.array([75.0, 100.0, 100.0])[:, None, None, None]
    kidney = (k / 55) ** 2 + (j / 28) ** 2 + (i / 32) ** 2 < 1
    center = rng.uniform((-25, -8, -10), (25, 8, 10))
    radius = rng.uniform(12, 17)
    mass = sum((axis - c) ** 2 for axis, c in zip((k, j, i), center, strict=True)) < radius**2
    body = (j / 95) ** 2 + (i / 98) ** 2 < 1
    hu = np.where(body, 40.0, -1000.0) + np.where(kidney, 80.0, 0.0)
    hu = np.where(mass, mass_hu, hu) + rng.normal(0, 8, SHAPE)
    return Volume(hu.astype(np.float32), MATRIX, Unit.HU), kidney | mass, mass


def write_case(folder: Path, seed: int, mass_hu: float, task: Task = KIDNEY) -> dict[str, str]:
    """Write CT and segmentation into `folder`; return their file names by the keys of lists."""
    folder.mkdir(parents=True, exist_ok=True)
    ct, kidney, mass = draw(seed, mass_hu)
    write_volume(ct, folder / "CT.nii.gz")
    masks = [("Left kidney", "liver", kidney), ("Renal mass", "tumor", mass)]
    write_segmentation(masks, MATRIX, folder / "masks.seg.nrrd", task)
    return {"ct": "CT.nii.gz", "segmentation": "masks.seg.nrrd"}


def write_cohort(folder: Path, cases: int, hu_of: Sequence[float], task: Task = KIDNEY, first: int = 0) -> Path:
    """Write a datalist with `cases` cases, with alternating classes. hu_of: HU of the mass of each class."""
    entries = []
    for n in range(cases):
        label = n % len(hu_of)
        names = write_case(folder / f"case{n}", first + n, hu_of[label], task)
        paths = {key: f"case{n}/{name}" for key, name in names.items()}
        entries.append({"id": f"case{n}", "patient": f"patient{n}", **paths, "grade": task.class_names[label]})
    path = folder / "cases.json"
    path.write_text(json.dumps({"name": "kidneys", "training": entries}), encoding="utf-8")
    return path
