"""Datalists in MONAI's form."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

from fuzz.mutations import damaged_json, json_bytes
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDTrainLib.cohorts.open_cohort import open_cohort

OURS = {
    "training": [
        {"id": "a", "ct": "a.nii.gz", "segmentation": "a.seg.nrrd", "patient": "p1", "grade": "well", "fold": 0},
        {"id": "b", "ct": "b.nii.gz", "liver": "l.nii.gz", "tumor": "t.nii.gz", "grade": 2, "clinical": {"age": 61}},
    ],
    "test": [{"id": "c", "fdg": "c.nii.gz", "segmentation": "c.seg.nrrd", "grade": "poor"}],
}
MONAI = {
    "modality": {"0": "CT", "1": "FDG"},
    "training": [{"image": ["a.nii.gz", "b.nii.gz"], "label": 1}, {"image": "a.nii.gz", "label": "s.nii.gz"}],
    "test": ["c.nii.gz"],
}


def prepare(folder: Path) -> None:
    """Nothing to prepare: the files of a datalist are only opened later."""


def make(rng: Random, folder: Path) -> Path:
    """Corrupt one of the two forms."""
    path = folder / "cases.json"
    path.write_bytes(json_bytes(damaged_json(rng.choice((OURS, MONAI)), rng), rng))
    return path


def replay(file: Path, folder: Path) -> Path:
    """A datalist of a past failure."""
    return Path(shutil.copy(file, folder))


def ask(path: Path) -> str:
    """Read it as a batch does, then as training does."""
    jobs = read_worklist(path)
    cohort = open_cohort(str(path))
    json.dumps([case.id for case in cohort.cases])
    return f"{len(jobs)} jobs, {len(cohort.cases)} cases"
