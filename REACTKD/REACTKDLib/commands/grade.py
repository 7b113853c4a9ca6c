"""`grade`: one case from files to a report folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.commands.arguments import (
    add_bundle_arguments,
    add_case_arguments,
    add_device_argument,
    add_output_argument,
    check_case,
    read_case,
)
from REACTKDLib.commands.progress import Progress
from REACTKDLib.commands.results import earlier_results_set_aside, write_results
from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.commands.summary import say_summary
from REACTKDLib.core.files.dicom.identity import check_writable

if TYPE_CHECKING:
    from REACTKDLib.core.grading.grader import Grader


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "grade",
        help="grade one case",
        description="Grades one case and writes report.json, regions.csv, regions.nii.gz and attention.nii.gz.",
        allow_abbrev=False,
    )
    add_case_arguments(parser)
    add_bundle_arguments(parser)
    add_device_argument(parser)
    add_output_argument(parser)
    parser.add_argument(
        "--dicom",
        action="store_true",
        help="also write report.dcm (Structured Report) and regions.dcm (SEG); the images must be DICOM. A model that "
        "is not for clinical use writes them for phantoms and de-identified images only",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of a summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Grade one case into the output folder."""
    output = arguments.output
    with Progress() as progress, earlier_results_set_aside(output), all_or_nothing(output) as folder:
        progress(0.0, "reading")
        check_case(arguments)
        headers = _dicom_headers(arguments) if arguments.dicom else None  # before the model and the images are read
        grader = grader_of(arguments.bundle, arguments.device)
        if headers is not None:
            check_writable(headers[0], str(grader.bundle.info["clinical_use"]))
        case = read_case(arguments, grader.bundle.task)
        result = grader.open(case, on_progress=lambda done, text: progress(0.05 + 0.85 * done, text)).grade()
        progress(0.95, "writing")
        write_results(result, case, folder)
        if headers is not None:
            from REACTKDLib.core.reports.dicom_export import write_dicom_results

            write_dicom_results(result.report, result.regions.labels, headers, folder)
    say_summary(result.report, output, arguments.json)


def _dicom_headers(arguments: argparse.Namespace) -> list[Any]:
    """Return the headers of the images that the DICOM results reference: see `exportable_headers`, also for Raises."""
    from REACTKDLib.core.cases.open_case import given_images
    from REACTKDLib.core.reports.dicom_export import exportable_headers

    modality, source = next(iter(given_images(arguments.ct, arguments.fdg, arguments.acetate).items()))
    return exportable_headers(source, modality, arguments.segmentation)


def grader_of(bundle: Sequence[Path] | None, device: str) -> Grader:
    """Return the grader of one model or several as one; None: the shipped one. Raises: the errors of bundles."""
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.student.bundle import shipped_bundle_folder
    from REACTKDLib.core.student.ensemble import load_model_folder

    return Grader(load_model_folder(bundle or shipped_bundle_folder()), device=device)
