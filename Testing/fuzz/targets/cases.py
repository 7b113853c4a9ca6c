"""Complete cases: an image or a segmentation with a corrupted header, opened, checked and graded."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from fuzz.mutations import damaged_text
from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.files.volumes import read_volume, write_volume
from REACTKDLib.core.grading.grader import Grader
from support.case_files import NAMES, SEGMENTATION, write_case
from support.small_cases import small_case
from support.small_models import small_bundle

_good: list[Path] = []


def prepare(folder: Path) -> None:
    """Write a small case with its images as MetaImage, which has a text header."""
    write_case(small_case(), folder / "case")
    for name in NAMES.values():
        path = folder / "case" / name
        write_volume(read_volume(path), path.with_name(name.replace(".nii.gz", ".mha")))
        path.unlink()
    _good[:] = [folder / "case"]


def make(rng: Random, folder: Path) -> Path:
    """Corrupt the header of one of the files."""
    home = folder / "case"
    shutil.copytree(_good[0], home)
    path = home / rng.choice(("CT.mha", "FDG.mha", SEGMENTATION))
    data = path.read_bytes()
    mark = b"\n\n" if path.suffix == ".nrrd" else b"LOCAL\n"
    end = data.index(mark) + len(mark)
    path.write_bytes(damaged_text(data[:end].decode(), rng).encode("utf-8", "replace") + data[end:])
    return home


def replay(file: Path, folder: Path) -> Path:
    """Put a file of a past failure into a valid case."""
    home = folder / "case"
    shutil.copytree(_good[0], home)
    shutil.copy(file, home)
    return home


def ask(path: Path) -> str:
    """Open and grade the case."""
    case = open_case(path / "CT.mha", path / "FDG.mha", segmentation=path / SEGMENTATION)
    report = Grader(small_bundle()).open(case).grade().report
    return f"{report.grade} {len(report.findings)} findings"
