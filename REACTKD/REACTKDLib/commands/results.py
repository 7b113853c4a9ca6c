"""Writes the four files of a graded case, and moves those of an earlier run aside if it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from REACTKDLib.core.errors import Canceled, OutputNotWritable, ReactkdError
from REACTKDLib.core.writing.earlier import set_aside

if TYPE_CHECKING:
    from REACTKDLib.core.grading.grade_result import GradeResult
    from REACTKDLib.core.images.case import Case

REPORT = "report.json"
TABLE = "regions.csv"
REGIONS = "regions.nii.gz"
ATTENTION = "attention.nii.gz"
WRITTEN = (REPORT, TABLE, REGIONS, ATTENTION)
#: files of an earlier run; the report first, since it is the one that is read
ALL = (*WRITTEN, "report.dcm", "regions.dcm")


def write_results(result: GradeResult, case: Case, folder: Path) -> None:
    """Write report, region table, region indices and voxel map into `folder`; the maps have the reference's geometry.

    If no grade is given, the voxel map is all zeros, so that there are always four files.
    """
    from REACTKDLib.core.files.volumes import write_volume
    from REACTKDLib.core.images.volume import Unit, Volume

    result.report.write_json(folder / REPORT)
    result.report.write_csv(folder / TABLE)
    labels = Volume(result.regions.labels, case.reference.ijk_to_ras, Unit.UNKNOWN, "regions")
    write_volume(labels, folder / REGIONS)
    write_volume(result.voxel_map, folder / ATTENTION)


@contextmanager
def earlier_results_set_aside(folder: Path) -> Iterator[None]:
    """If the block fails, move the results of an earlier run in `folder` aside, and mention it in the error.

    After a stop, or if the disk does not accept the results, nothing is moved: the old results are intact and stay in
    place.
    """
    try:
        yield
    except Canceled:
        raise
    except OutputNotWritable as error:
        if (folder / REPORT).exists():
            error.add("The results that lie there are of an earlier run.")
        raise
    except Exception as error:
        aside = set_aside(folder, ALL)
        if aside is not None and isinstance(error, ReactkdError):
            error.add(f"The results of an earlier run were moved into '{aside.name}' in the output folder.")
        raise
