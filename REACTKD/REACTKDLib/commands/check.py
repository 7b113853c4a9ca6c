"""`check`: read a case, look at its masks and geometry, print the findings as JSON. Needs no model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.commands.arguments import add_case_arguments, read_case
from REACTKDLib.core.task import HCC_GRADE, Task

if TYPE_CHECKING:
    from REACTKDLib.core.images.case import Case

SCHEMA = "reactkd-check/1"


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="check masks and geometry without grading, and print findings as JSON",
        description="Checks masks and geometry without grading and prints the findings as JSON.",
        allow_abbrev=False,
    )
    add_case_arguments(parser)
    parser.add_argument(
        "--task", type=Path, metavar="FILE", help="the task file (default: the grade of hepatocellular carcinoma)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the findings of one case, in ASCII, which any console and file can represent."""
    task = HCC_GRADE if arguments.task is None else Task.read(arguments.task)
    sys.stdout.write(json.dumps(summary(read_case(arguments, task)), indent=2) + "\n")


def summary(case: Case) -> dict[str, Any]:
    """Return what `check` prints: inputs, volumes of the organ and lesions, findings."""
    from REACTKDLib.core.masks.checks import foresee
    from REACTKDLib.core.masks.regions import regions_of

    regions = regions_of(case)
    return {
        "schema": SCHEMA,
        "case": case.id,
        "inputs": [
            {
                "modality": modality.value,
                "shape_kji": list(volume.shape),
                "spacing_ijk_mm": [round(float(s), 4) for s in volume.spacing],
                "unit": volume.unit.value,
            }
            for modality, volume in case.volumes.items()
        ],
        f"{case.task.organ.name.replace(' ', '_')}_ml": round(int(case.liver.sum()) * case.reference.voxel_ml, 2),
        "lesions": [
            {
                "name": lesion.name,
                "volume_ml": round(lesion.volume_ml, 4),
                "centroid_ras_mm": [round(c, 2) for c in lesion.centroid_ras],
            }
            for lesion in regions.lesions
        ],
        "findings": [finding.to_dict() for finding in (*case.findings, *foresee(case))],
    }
