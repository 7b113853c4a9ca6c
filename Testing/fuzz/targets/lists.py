"""Worklists as spreadsheets write them, for a batch, for the panel and for training."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from fuzz.mutations import damaged_bytes, damaged_text
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDTrainLib.cohorts.open_cohort import open_cohort

TEXT = (
    "case,patient,ct,fdg,segmentation,liver,tumor,grade\n"
    "A-1,p1,a/CT.nii.gz,a/FDG.nii.gz,a/seg.seg.nrrd,Liver,Tumor 1|Tumor 2,well\n"
    'B 2,p2,"b, c/CT.nii.gz",,b/seg.seg.nrrd,,,moderate\n'
    "C\u00e9,007,c/CT.nii.gz,,c/seg.seg.nrrd,1,2,2.0\n"
)
_folder: list[Path] = []


def prepare(folder: Path) -> None:
    """Create empty files for the paths in the list."""
    for name in ("a/CT.nii.gz", "a/FDG.nii.gz", "a/seg.seg.nrrd", "b, c/CT.nii.gz", "b/seg.seg.nrrd", "c/CT.nii.gz"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    _folder[:] = [folder]


def make(rng: Random, folder: Path) -> Path:
    """Change separator, line ending or encoding, and corrupt the text."""
    shutil.copytree(_folder[0], folder, dirs_exist_ok=True)
    text = damaged_text(TEXT, rng) if rng.random() < 0.85 else TEXT
    separator = rng.choice(",;\t|")
    text = text.replace(",", separator).replace("\n", rng.choice(("\n", "\r\n", "\r")))
    if rng.random() < 0.2:
        text = f"sep={separator}\n" + text
    data = text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16")), "replace")
    path = folder / "list.csv"
    path.write_bytes(damaged_bytes(data, rng) if rng.random() < 0.25 else data)
    return path


def replay(file: Path, folder: Path) -> Path:
    """A list of a past failure."""
    shutil.copytree(_folder[0], folder, dirs_exist_ok=True)
    return Path(shutil.copy(file, folder))


def ask(path: Path) -> str:
    """Read it as a batch does, then as training does."""
    jobs = read_worklist(path)
    cohort = open_cohort(str(path))
    return f"{len(jobs)} jobs, {len(cohort.cases)} cases"
