"""`prepare`: write the paper's three representations of a case as NIfTI, each with its position in the patient."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.commands.arguments import (
    add_case_arguments,
    add_output_argument,
    check_case,
    read_case,
)
from REACTKDLib.commands.progress import Progress
from REACTKDLib.commands.staging import all_or_nothing

if TYPE_CHECKING:
    from REACTKDLib.core.student.prepare import Preparation

SCHEMA = "reactkd-prepared/1"


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "prepare",
        help="write the network's input: normalized volumes, masked volumes and lesion crops",
        description="Writes <modality>_normalized, <modality>_masked and <modality>_lesion_<n> as .nii.gz, the lesion "
        "masks, and prepared.json. The student reads the normalized volume.",
        allow_abbrev=False,
    )
    add_case_arguments(parser)
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="DIR",
        nargs="+",
        help="the model's folder (default: the shipped one), whose grid and normalization are used; also several "
        "folders, or an ensemble, if their models share both",
    )
    parser.add_argument(
        "--paper", action="store_true", help="use the paper's grid and normalization instead of the model's"
    )
    add_output_argument(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the representations of one case."""
    check_case(arguments)  # before torch is imported
    from REACTKDLib.core.files.straight_axes import check_straight
    from REACTKDLib.core.files.volumes import write_volume
    from REACTKDLib.core.modality import ROLES
    from REACTKDLib.core.student.ensemble import task_of
    from REACTKDLib.core.student.representations import represent
    from REACTKDLib.core.writing.atomic import write_text

    with Progress() as progress, all_or_nothing(arguments.output) as folder:
        preparation = _preparation(arguments)
        progress(0.0, "reading")
        case = read_case(arguments, task_of(arguments.bundle[0] if arguments.bundle else None))
        for modality, volume in case.volumes.items():
            check_straight(volume.ijk_to_ras, ROLES[modality])  # lesions are cropped on this grid
        progress(0.4, "preparing")
        result = represent(case, preparation)
        names = {f"{m.value}_{kind}.nii.gz": volume for (m, kind), volume in result.volumes.items()}
        names |= {f"lesion_{n}_mask.nii.gz": volume for n, volume in result.lesion_masks.items()}
        for number, (name, volume) in enumerate(names.items()):
            progress(0.5 + 0.5 * number / len(names), name)
            write_volume(volume, folder / name)
        description = {
            "schema": SCHEMA,
            "case": case.id,
            "preparation": preparation.to_metadata(),
            "files": sorted(names),
            "findings": [finding.to_dict() for finding in (*case.findings, *result.findings)],
        }
        write_text(folder / "prepared.json", json.dumps(description, indent=2) + "\n")


def _preparation(arguments: argparse.Namespace) -> Preparation:
    from REACTKDLib.core.student.bundle import shipped_bundle_folder
    from REACTKDLib.core.student.ensemble import load_model_folder
    from REACTKDLib.core.student.representations import PAPER

    return PAPER if arguments.paper else load_model_folder(arguments.bundle or shipped_bundle_folder()).preparation
