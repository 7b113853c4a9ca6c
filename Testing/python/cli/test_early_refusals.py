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

LIBRARY = Path(__file__).resolve().parents[3] / "REACTKD"
CALL = """
import json, sys
from REACTKDLib.__main__ import main
for arguments in json.loads(sys.argv[1]):
    print(main(arguments), "torch" in sys.modules, "SimpleITK" in sys.modules)
"""


@pytest.mark.parametrize("command", ["grade", "prepare"])
def test_missing_files_and_wrong_options_are_refused_at_once(command: str, case_folder: Path, tmp_path: Path) -> None:
    good = [*map(str, case_arguments(case_folder)), "--output", str(tmp_path / "out")]
    ct, masks = str(case_folder / NAMES[Modality.CT]), str(case_folder / SEGMENTATION)
    faults = {
        "There is no file at the path given for the CT; check the path.": swapped(good, ct, "nowhere.nii.gz"),
        "There is no file at the path given for the segmentation; check the path.": swapped(good, masks, "nowhere"),
        "No image is given; give a CT (--ct), or a PET": ["--segmentation", masks, "--output", str(tmp_path / "out")],
        "The case name 'a/b' cannot be used": [*good, "--case", "a/b"],
        "The name of the CT is none that a file can have": swapped(good, ct, "a\0b"),
    }
    calls = json.dumps([[command, *arguments] for arguments in faults.values()])
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    done = subprocess.run([sys.executable, "-c", CALL, calls], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == ["2 False False"] * len(faults), done.stderr
    for line, words in zip(done.stderr.splitlines(), faults, strict=True):
        assert line.startswith(words)
    assert not (tmp_path / "out").exists()


def swapped(arguments: list[str], old: str, new: str) -> list[str]:
    """Return the arguments with one value exchanged."""
    assert old in arguments
    return [new if argument == old else argument for argument in arguments]
