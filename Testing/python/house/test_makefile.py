"""The two make commands of the README: the options that they pass on, and the environment that they use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str, folder: Path = REPOSITORY) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@needs_make
def test_files_given_to_make_are_passed_to_the_demo() -> None:
    printed = make("-n", "demo", "CT=ct.nii.gz", "SEG=my masks.seg.nrrd", "TUMOR=Lesion 1")
    command = " ".join(printed.replace("\\\n", " ").split())
    assert 'run_demo.py --output build/demo --ct "ct.nii.gz"' in command
    assert '--segmentation "my masks.seg.nrrd"' in command and '--tumor "Lesion 1"' in command
    assert "--fdg" not in command and "--acetate" not in command and "--liver" not in command


@needs_make
def test_the_demo_accepts_every_option_that_make_passes() -> None:
    everything = make("-n", "demo", *(f"{name}=x" for name in ("CT", "FDG", "ACETATE", "SEG", "LIVER", "TUMOR")))
    options = set(re.findall(r"--[a-z]+", everything.partition("run_demo.py")[2]))
    assert len(options) == 7
    script = REPOSITORY / "Testing" / "demo" / "run_demo.py"
    folders = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain", "Testing"))
    environment = {**os.environ, "PYTHONPATH": folders}
    command = [sys.executable, str(script), "--help"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert options <= set(re.findall(r"--[a-z]+", told.stdout))


@needs_make
def test_drawing_needs_no_screen() -> None:
    probe = "include Makefile\nshow: ; @env\n"
    command = ["make", "--no-print-directory", "-f", "-", "show"]
    ours = ("VTK_DEFAULT_OPENGL_WINDOW", "QT_QPA_PLATFORM")
    bare = {name: value for name, value in os.environ.items() if name not in ours}
    result = subprocess.run(command, input=probe, cwd=REPOSITORY, env=bare, capture_output=True, text=True, check=True)
    printed = result.stdout
    assert "QT_QPA_PLATFORM=offscreen" in printed.splitlines()
    if sys.platform == "linux":
        assert re.search(r"^VTK_DEFAULT_OPENGL_WINDOW=vtk(OSOpenGL|EGL)RenderWindow$", printed, re.MULTILINE)
