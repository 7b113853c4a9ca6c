"""The four files that a graded case leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from REACTKDLib.core.case import Case
    from REACTKDLib.core.grade_result import GradeResult

REPORT = "report.json"
TABLE = "regions.csv"
REGIONS = "regions.nii.gz"
ATTENTION = "attention.nii.gz"


def write_results(result: GradeResult, case: Case, folder: Path) -> None:
    """Write report, region table, region indices and voxel map into `folder`; the maps have the reference's geometry.

    Without a claimed grade the voxel map is all zeros, so the four files are always there.
    """
    from REACTKDLib.core.files import write_volume
    from REACTKDLib.core.volume import Unit, Volume

    result.report.write_json(folder / REPORT)
    result.report.write_csv(folder / TABLE)
    labels = Volume(result.regions.labels, case.reference.ijk_to_ras, Unit.UNKNOWN, "regions")
    write_volume(labels, folder / REGIONS)
    write_volume(result.voxel_map, folder / ATTENTION)
