"""Slicer imports the module file at every start: module and panel open without torch and monai."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE_FILE = REPOSITORY / "REACTKD" / "REACTKD.py"
PANEL_FILE = REPOSITORY / "REACTKD" / "Resources" / "UI" / "REACTKD.ui"
HEAVY = ("torch", "monai", "SimpleITK", "scipy", "skimage", "ot", "einops", "sklearn", "matplotlib")

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


def widgets() -> dict[str, str]:
    """Name -> class of each widget in the panel."""
    return {widget.get("name", ""): widget.get("class", "") for widget in ElementTree.parse(PANEL_FILE).iter("widget")}


def test_every_widget_that_the_code_uses_is_in_the_panel() -> None:
    used = set(re.findall(r"self\.ui\.(\w+)", MODULE_FILE.read_text(encoding="utf-8")))
    assert used
    assert used <= set(widgets())


def test_every_selector_gets_the_scene() -> None:
    connections = [
        tuple(connection.findtext(part) for part in ("sender", "signal", "receiver", "slot"))
        for connection in ElementTree.parse(PANEL_FILE).iter("connection")
    ]
    selectors = [name for name, kind in widgets().items() if kind == "qMRMLNodeComboBox"]
    assert len(selectors) == 4
    for selector in selectors:
        assert (
            "REACTKD",
            "mrmlSceneChanged(vtkMRMLScene*)",
            selector,
            "setMRMLScene(vtkMRMLScene*)",
        ) in connections


def test_every_class_that_is_not_of_qt_is_declared_in_the_panel() -> None:
    declared = {item.findtext("class") for item in ElementTree.parse(PANEL_FILE).iter("customwidget")}
    assert {kind for kind in widgets().values() if not kind.startswith("Q")} == declared


@pytest.mark.parametrize("place", ["Resources/REACTKD.png", "REACTKD/Resources/Icons/REACTKD.png"])
def test_the_icon_is_a_square_png(place: str) -> None:
    data = (REPOSITORY / place).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (128, 128)
