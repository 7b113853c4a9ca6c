"""`phantom`: write one digital patient to disk in the formats of a hospital, with the ground truth beside it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.commands.arguments import add_output_argument
from REACTKDLib.commands.progress import Progress
from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.core.console import writable
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.text import quoted, shown

if TYPE_CHECKING:
    from REACTKDLib.core.phantom.acquire import PhantomCase

FILES = {"ct": "CT.nii.gz", "fdg": "FDG.nii.gz", "acetate": "ACETATE.nii.gz"}
SEGMENTATION = "segmentation.seg.nrrd"
TRUTH = "truth.json"


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "phantom",
        help="write a digital patient: CT, FDG PET, acetate PET, masks and the ground truth",
        description="Writes a digital patient. No part of it comes from a person.",
        allow_abbrev=False,
    )
    parser.add_argument("--grade", choices=GRADES, required=True, help="the grade of the patient")
    parser.add_argument(
        "--seed",
        type=seed,
        required=True,
        metavar="N",
        help="seed of the random numbers; the same seed gives the same files",
    )
    parser.add_argument(
        "--size",
        choices=("small", "full"),
        default="full",
        help="full: a CT of 512 x 512 pixels, as in a hospital; small: 128 x 128 pixels, for a first try "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--biology",
        choices=("shared", "independent"),
        default="shared",
        help="shared: the worst lesion determines the grade, as in the training of the shipped model; independent: the "
        "first edition of the phantom "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--heterogeneity",
        type=float,
        metavar="H",
        help="how much the lesions of a liver differ: 0, or from 0.1 to 1 (default: 0.6; only for the shared biology)",
    )
    scan = parser.add_argument_group("lesions of known biology, drawn into a real scan")
    scan.add_argument("--on", type=Path, metavar="FILE|DIR", help="the CT; needs --liver")
    scan.add_argument(
        "--liver", type=Path, metavar="FILE", help="the liver: a mask, or a segmentation with its lesions"
    )
    scan.add_argument("--fdg", type=Path, metavar="FILE|DIR", help="its FDG PET")
    scan.add_argument("--acetate", type=Path, metavar="FILE|DIR", help="its 11C-acetate PET")
    parser.add_argument(
        "--dicom", action="store_true", help="write DICOM: the folders CT, FDG and ACETATE, and segmentation.dcm"
    )
    parser.add_argument(
        "--patient-id", metavar="ID", help="patient id in the DICOM files: PHANTOM- followed by A-Z, 0-9 and '-'"
    )
    add_output_argument(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the phantom to the output folder."""
    if arguments.patient_id is not None:
        from REACTKDLib.core.files.dicom.identity import check_phantom_id

        if not arguments.dicom:
            raise UsageError("A patient id is written into DICOM files only; add --dicom, or leave --patient-id out.")
        check_phantom_id(arguments.patient_id)
    if arguments.on is not None:
        _draw_on_scan(arguments)
        return
    if any(value is not None for value in (arguments.liver, arguments.fdg, arguments.acetate)):
        raise UsageError("A liver mask and PETs belong to a scan that lesions are drawn into; give its CT with --on.")
    from REACTKDLib.core.phantom.acquire import acquire
    from REACTKDLib.core.phantom.patient import draw_patient

    _refuse_others(arguments.output)
    with Progress() as progress, all_or_nothing(arguments.output) as folder:
        progress(0.0, "drawing the patient")
        patient = draw_patient(
            arguments.seed,
            grade=arguments.grade,
            biology=arguments.biology,
            heterogeneity=arguments.heterogeneity,
        )
        progress(0.2, "scanning")
        phantom = acquire(patient, size=arguments.size)
        progress(0.5, "writing")
        default_id = f"PHANTOM-{arguments.grade.upper()}-{arguments.seed}"
        write_phantom(phantom, folder, (arguments.patient_id or default_id) if arguments.dicom else None)
    _say_wrote("a digital patient", arguments)


def _draw_on_scan(arguments: argparse.Namespace) -> None:
    """Write a real scan with simulated lesions; its masks also contain the existing lesions."""
    if arguments.liver is None:
        raise UsageError("Lesions are drawn into a liver; give its mask with --liver.")
    if arguments.dicom or arguments.size != "full" or arguments.biology != "shared":
        raise UsageError("With --on there is no choice of --dicom, --size or --biology; leave them out.")
    from REACTKDLib.core.cases.open_case import case_of, read_any_segmentation, read_volumes
    from REACTKDLib.core.modality import Modality
    from REACTKDLib.core.phantom.biology_shared import HETEROGENEITY
    from REACTKDLib.core.phantom.hybrid import draw_into

    _refuse_others(arguments.output)
    with Progress() as progress, all_or_nothing(arguments.output) as folder:
        progress(0.0, "reading the scan")
        paths = {Modality.CT: arguments.on, Modality.FDG: arguments.fdg, Modality.ACETATE: arguments.acetate}
        given = {modality: path for modality, path in paths.items() if path is not None}
        volumes, findings = read_volumes(given, arguments.liver)
        masks = read_any_segmentation(arguments.liver)
        whole = {} if len(masks.segments) > 1 else {"liver": [masks.segments[0].candidate.key], "tumor": []}
        case = case_of(volumes, masks, findings=findings, **whole)
        progress(0.4, "drawing lesions")
        h = HETEROGENEITY if arguments.heterogeneity is None else arguments.heterogeneity
        phantom = draw_into(case, arguments.seed, arguments.grade, h)
        progress(0.7, "writing")
        write_phantom(phantom, folder)
    _say_wrote("the scan with drawn lesions", arguments)


def _refuse_others(output: Path) -> None:
    """Raise UsageError for a folder with images of these names that may not be a phantom's, since they would be
    lost.
    """
    names = [*FILES.values(), SEGMENTATION, *(name.partition(".")[0] for name in FILES.values())]
    found = [name for name in names if (output / name).exists()]
    if found and not (output / TRUTH).exists():
        raise UsageError(
            f"The output folder holds {quoted(found)}, which would be replaced and are no phantom's (there is no "
            f"{TRUTH}); choose another folder."
        )


def _say_wrote(what: str, arguments: argparse.Namespace) -> None:
    print(writable(f"Wrote {what}, grade {arguments.grade}, into {arguments.output}.", sys.stdout))


def write_phantom(phantom: PhantomCase, folder: Path, dicom_id: str | None = None) -> None:
    """Write the volumes, the masks (segments Liver and Tumor) and `truth.json` into `folder`.

    dicom_id: the patient ID of DICOM files in place of NIfTI and NRRD. Raises: PatientLike, PackagesMissing.
    """
    from REACTKDLib.core.files.segmentation_writer import write_segmentation
    from REACTKDLib.core.files.volumes import write_volume
    from REACTKDLib.core.phantom.dicom_files import write_phantom_dicom
    from REACTKDLib.core.writing.atomic import write_text

    case = phantom.case
    if dicom_id is not None:
        write_phantom_dicom(case, folder, dicom_id)
    else:
        for modality, volume in case.volumes.items():
            write_volume(volume, folder / FILES[modality.value])
        masks = [("Liver", "liver", case.liver), ("Tumor", "tumor", case.tumor)]
        write_segmentation(masks, case.reference.ijk_to_ras, folder / SEGMENTATION)
    write_text(folder / TRUTH, json.dumps(phantom.truth, indent=2) + "\n")


def seed(text: str) -> int:
    """Return the integer in `text`. Raises: ArgumentTypeError."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number, 0 or more, not '{shown(text)}'")
    return int(text)
