"""Arguments that several commands share, and the case that they describe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from REACTKDLib.core.cases.names import is_file_name, on_disk
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.text import quoted

if TYPE_CHECKING:
    from REACTKDLib.core.images.case import Case
    from REACTKDLib.core.task import Task

LONGEST_NAME = 100  # of a case, characters


def add_case_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files of one case."""
    files = parser.add_argument_group(
        "the case (NIfTI, NRRD or MHA files, or DICOM: the folder of a series, or one of its files)"
    )
    files.add_argument("--ct", type=Path, metavar="FILE|DIR", help="CT in Hounsfield units")
    files.add_argument("--fdg", type=Path, metavar="FILE|DIR", help="FDG PET in any unit")
    files.add_argument("--acetate", type=Path, metavar="FILE|DIR", help="11C-acetate PET in any unit")
    files.add_argument(
        "--segmentation",
        type=Path,
        metavar="FILE",
        required=True,
        help="masks of the organ (a liver) and its lesions: a .seg.nrrd, a DICOM SEG or a label map",
    )
    files.add_argument(
        *("--liver", "--organ"),
        nargs="+",
        metavar="NAME|LABEL",
        help="the liver, or the organ of the model's task, if it is not recognized by name",
    )
    files.add_argument(
        *("--tumor", "--lesion", "--lesions"),
        nargs="*",
        metavar="NAME|LABEL",
        help="the tumors, or the lesions of the model's task, if they are not recognized by name; without a value, the "
        "case has none",
    )
    files.add_argument(
        "--case", metavar="ID", help="a name for the reports (file names are never used: they may be a patient's)"
    )
    add_different_patients_argument(parser)
    add_keep_specks_argument(parser)


def add_keep_specks_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option to grade lesions that are otherwise regarded as slips of the brush."""
    parser.add_argument(
        "--keep-specks",
        action="store_true",
        help="also grade lesions under 0.05 ml; without this option they are left out, with a warning",
    )


def add_different_patients_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option which states that headers with different patients belong to one."""
    parser.add_argument(
        "--different-patients-ok",
        action="store_true",
        help="accept DICOM files whose headers name different patients, as when each was given its own pseudonym; "
        "without this option they are refused",
    )


def add_bundle_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the model."""
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="DIR",
        nargs="+",
        help="the model's folder (default: the shipped one); of several folders, or of an ensemble, the mean of the "
        "probabilities is the result. Time and memory grow with the number of models",
    )


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the device."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")


def add_output_argument(parser: argparse.ArgumentParser) -> None:
    """Add the output folder."""
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="folder for the results")


def check_case(arguments: argparse.Namespace) -> None:
    """Check `add_case_arguments` as far as possible without reading a file, before a model is loaded.

    Raises: UsageError, NoVolume, FileMissing, NotAnImage.
    """
    from REACTKDLib.core.cases.open_case import check_paths, given_images

    checked_id(arguments.case)
    check_paths(given_images(arguments.ct, arguments.fdg, arguments.acetate), arguments.segmentation)


def read_case(arguments: argparse.Namespace, task: Task) -> Case:
    """Return the case of `add_case_arguments` for a task, checked. Raises: what `open_case` raises."""
    from REACTKDLib.core.cases.open_case import open_case

    return open_case(
        arguments.ct,
        arguments.fdg,
        arguments.acetate,
        segmentation=arguments.segmentation,
        liver=arguments.liver,
        tumor=arguments.tumor,
        case_id=checked_id(arguments.case),
        different_patients_ok=arguments.different_patients_ok,
        keep_specks=arguments.keep_specks,
        task=task,
    )


def checked_id(name: str | None) -> str | None:
    """Return a case id that is safe as a folder name. Raises: UsageError."""
    if name is None:
        return None
    name = name.strip()
    if not is_file_name(name) or len(name) > LONGEST_NAME:
        raise UsageError(
            f"The case name {quoted([name])} cannot be used; use at most {LONGEST_NAME} letters, digits, spaces, '-' "
            "and '_'."
        )
    return name


def folder_name(case: str, table: str) -> str:
    """Return the name of a case's folder, which is beside the table of all cases. Raises: UsageError."""
    name = checked_id(case)
    if on_disk(name) == on_disk(table):
        raise UsageError(f"The case cannot be named '{table}', as the table is; give it another name.")
    return name
