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
