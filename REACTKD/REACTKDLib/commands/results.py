"""The four files that a graded case leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from REACTKDLib.core.case import Case

REPORT = "report.json"
TABLE = "regions.csv"
REGIONS = "regions.nii.gz"
ATTENTION = "attention.nii.gz"


def write_results(result: Any, case: Case, folder: Path) -> None:
    """Write report, region table, region indices and voxel map into `folder`; the maps have the reference's geometry.

    result: of `Session.grade`. Without a claimed grade there is no voxel map, and a map of zeros is written, so that
    the four files are always there.
    """
    from REACTKDLib.core.files import write_volume
    from REACTKDLib.core.volume import Unit, Volume

    result.report.write_json(folder / REPORT)
    result.report.write_csv(folder / TABLE)
    reference = case.reference
    write_volume(Volume(result.regions.labels, reference.ijk_to_ras, Unit.UNKNOWN, "regions"), folder / REGIONS)
    attention = result.voxel_map
    if attention is None:
        zeros = np.zeros(reference.shape, dtype=np.float32)
        attention = Volume(zeros, reference.ijk_to_ras, Unit.UNKNOWN, "attention")
    write_volume(attention, folder / ATTENTION)
