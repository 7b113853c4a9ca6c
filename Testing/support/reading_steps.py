"""Steps through a list of small cases for tests of the scene: open, edit the masks, answer."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.reading import Reading
from support.case_files import write_case
from support.edits import ball, mask_of, paint
from support.scene_cases import make_case, make_result

PLACE = (-20.0, 10.0, 50.0)  # mm RAS, in the liver beside its lesions


def listed_case(**changes: object) -> Case:
    """Return the hand-made case, small enough to open instantly."""
    return make_case((22, 36, 40), (4.4, 4.6, 6.0), **changes)


def write_cases(root: Path, *names: str) -> Path:
    """Write a folder of such cases; return it."""
    for name in names:
        write_case(listed_case(), root / name)
    return root


def wait(reading: Reading) -> None:
    """Work until the requested case is loaded."""
    end = time.monotonic() + 60
    while reading.loader.busy:
        assert time.monotonic() < end
        reading.work()
        time.sleep(0.005)


def go(reading: Reading, index: int) -> None:
    """Open a case of the list and wait until it is loaded."""
    reading.go_to(index)
    wait(reading)


def tumor(reading: Reading) -> np.ndarray:
    """Return the tumor mask of the open case."""
    nodes = reading.loader.loaded.nodes
    return mask_of(nodes.segmentation, "Tumor", nodes.reference)


def edit(reading: Reading, place: tuple[float, float, float] = PLACE) -> int:
    """Paint a ball of tumor; return the tumor's number of voxels afterward."""
    nodes = reading.loader.loaded.nodes
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, place, 9.0), nodes.reference)
    return int(tumor(reading).sum())


def a_report(case: str) -> GradeReport:
    """Return a report for a case of the list."""
    return replace(make_result(listed_case()).report, case=case)
