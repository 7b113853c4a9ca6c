"""What a command can refuse without a model, it refuses before torch is imported, which takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from REACTKDLib.core.modality import Modality
from support.case_files import NAMES, SEGMENTATION, case_arguments
from support.dicom_files import tissue, write_series

REPOSITORY = Path(__file__).resolve().parents[3]
LIBRARIES = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain"))
CALL = """
import importlib, json, sys
main = importlib.import_module(sys.argv[1] + ".__main__").main
for arguments in json.loads(sys.argv[2]):
    print(main(arguments), "torch" in sys.modules, "SimpleITK" in sys.modules)
"""


@pytest.mark.parametrize("command", ["grade", "prepare"])
def test_missing_files_and_wrong_options_are_refused_without_torch(
    command: str, case_folder: Path, tmp_path: Path
) -> None:
    good = [*map(str, case_arguments(case_folder)), "--output", str(tmp_path / "out")]
    ct, masks = str(case_folder / NAMES[Modality.CT]), str(case_folder / SEGMENTATION)
    faults = {
        "There is no file at the path given for the CT; check the path.": swapped(good, ct, "nowhere.nii.gz"),
        "There is no file at the path given for the segmentation; check the path.": swapped(good, masks, "nowhere"),
        "No image is given; give a CT (--ct), or a PET": ["--segmentation", masks, "--output", str(tmp_path / "out")],
        "The case name 'a/b' cannot be used": [*good, "--case", "a/b"],
        "The name of the CT is none that a file can have": swapped(good, ct, "a\0b"),
        "The folder given for the CT holds no DICOM images": swapped(good, ct, str(case_folder)),
    }
    refused_at_once("REACTKDLib", {words: [command, *arguments] for words, arguments in faults.items()}, status=2)
    assert not (tmp_path / "out").exists()


def test_wrong_options_of_a_training_are_refused_without_torch(tmp_path: Path) -> None:
    good = ["train", "--cohort", "phantom:hospital", "--output", str(tmp_path / "out")]
    (tmp_path / "file").touch()
    faults = {
        "The setting jobs must be at least 1": [*good, "--jobs", "0"],
        "No cohort was given": good[:1] + good[3:],
        "No output folder was given": good[:3],
        "The output is a file; give a folder.": [*good[:-1], str(tmp_path / "file")],
    }
    refused_at_once("REACTKDTrainLib", faults, status=1)
    assert not (tmp_path / "out").exists()


def test_images_that_a_dicom_report_cannot_refer_to_are_refused_without_torch(
    case_folder: Path, tmp_path: Path
) -> None:
    """The model was loaded, and the case read, before anyone looked at the images."""
    (tmp_path / "empty").mkdir()
    write_series(tmp_path / "ct", tissue(3), modality="CT")
    unplaced = {"edit": lambda dataset, _k: delattr(dataset, "FrameOfReferenceUID")}
    write_series(tmp_path / "unplaced", tissue(3), modality="CT", **unplaced)
    masks = ["--segmentation", str(case_folder / SEGMENTATION), "--output", str(tmp_path / "out"), "--dicom"]
    faults = {
        "A DICOM report refers to DICOM images; give the CT as a DICOM series": case_folder / NAMES[Modality.CT],
        "The folder given for the CT holds no DICOM images": tmp_path / "empty",
        "The CT does not state the Frame of Reference UID": tmp_path / "unplaced",
    }
    faults = {words: ["grade", "--ct", str(path), *masks] for words, path in faults.items()}
    faults["The folder given for the FDG PET has no PET series"] = ["grade", "--fdg", str(tmp_path / "ct"), *masks]
    refused_at_once("REACTKDLib", faults, status=2)
    assert not (tmp_path / "out").exists()


def test_wrong_options_of_a_comparison_are_refused_without_torch(tmp_path: Path) -> None:
    nodes = ["compare", "nodes", "--output", str(tmp_path / "found.json")]
    faults = {
        "The folder for the node vectors is missing": nodes,
        "There is no page page.md": [*nodes, "--page", str(tmp_path / "page.md")],
    }
    refused_at_once("REACTKDTrainLib", faults, status=2)


def refused_at_once(library: str, faults: dict[str, list[str]], status: int) -> None:
    """Check that a command ends with a sentence, and without PyTorch. faults: its beginning -> the arguments."""
    environment = {**os.environ, "PYTHONPATH": LIBRARIES}
    command = [sys.executable, "-c", CALL, library, json.dumps(list(faults.values()))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [f"{status} False False"] * len(faults), done.stderr
    for line, words in zip(done.stderr.splitlines(), faults, strict=True):
        assert line.startswith(words)


def swapped(arguments: list[str], old: str, new: str) -> list[str]:
    """Return the arguments with one value exchanged."""
    assert old in arguments
    return [new if argument == old else argument for argument in arguments]
