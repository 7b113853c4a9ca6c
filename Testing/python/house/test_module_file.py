"""Slicer imports the module file at every start: module and panel open without torch and monai."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE_FILE = REPOSITORY / "REACTKD" / "REACTKD.py"
HEAVY = ("torch", "monai", "SimpleITK", "scipy", "skimage", "ot", "einops", "sklearn", "matplotlib", "pydantic")

IMPORT_WITHOUT = f"""
import sys
for name in {HEAVY!r}:
    sys.modules[name] = None  # any import of it raises ImportError

from host.application import start
application = start()
about = application.load_module("REACTKD/REACTKD.py").about
assert about.title == "REACTKD" and about.categories == ["Quantification"]
assert "not for clinical use" in about.helpText and "2508.02104" in about.acknowledgementText
application.select_module("REACTKD")
application.close()
application.assert_no_errors()

from REACTKDLib.gui.packages import missing_packages
assert missing_packages() == ["torch", "monai", "einops", "POT", "scikit-image"], missing_packages()
print("shown")
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "Testing"))
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_the_panel_opens_where_the_heavy_packages_are_absent() -> None:
    result = python(IMPORT_WITHOUT)
    assert result.returncode == 0, result.stderr
    assert "shown" in result.stdout


def test_the_module_loads_no_heavy_package_where_they_are_present() -> None:
    code = "import sys; from host.application import start; application = start(); before = set(sys.modules)\n"
    code += "application.load_module('REACTKD/REACTKD.py'); application.select_module('REACTKD')\n"
    code += f"print(sorted((set(sys.modules) - before) & set({HEAVY!r})))"
    result = python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[-2] == "[]"


@pytest.mark.parametrize("place", ["Resources/REACTKD.png", "REACTKD/Resources/Icons/REACTKD.png"])
def test_the_icon_is_a_square_png(place: str) -> None:
    data = (REPOSITORY / place).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (128, 128)
