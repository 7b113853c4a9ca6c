"""The .ui files match the code that loads them: classes, scene connections, names; checked without Qt."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
UI_FOLDER = REPOSITORY / "REACTKD" / "Resources" / "UI"
GUI_FOLDER = REPOSITORY / "REACTKD" / "REACTKDLib" / "gui"
UI_FILES = sorted(UI_FOLDER.glob("*.ui"))
FRAME = UI_FOLDER / "REACTKD.ui"
SCENE_WIRE = "mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)"


def widgets(path: Path) -> dict[str, str]:
    """Name -> class of each widget in a file."""
    return {widget.get("name", ""): widget.get("class", "") for widget in ElementTree.parse(path).iter("widget")}


def sections() -> dict[Path, Path]:
    """Python file of each panel section -> its .ui file."""
    found = {}
    for path in sorted(GUI_FOLDER.glob("*.py")):
        match = re.search(r'^    ui_file = "(\w+\.ui)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            found[path] = UI_FOLDER / match.group(1)
    return found


def test_every_file_is_the_frame_or_belongs_to_a_section() -> None:
    assert set(UI_FILES) == {FRAME, *sections().values()}


def test_the_frame_has_the_order_of_the_work() -> None:
    named = [name for name, kind in widgets(FRAME).items() if kind == "ctkCollapsibleButton"]
    assert named == [
        f"{n}Section" for n in ("cases", "inputs", "masks", "grade", "why", "report", "training", "settings")
    ]


@pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.stem)
def test_every_selector_gets_the_scene(path: Path) -> None:
    tree = ElementTree.parse(path)
    root = tree.find("widget").get("name")
    wires = {
        tuple(connection.findtext(part) for part in ("sender", "signal", "receiver", "slot"))
        for connection in tree.iter("connection")
    }
    for name, kind in widgets(path).items():
        if kind.startswith("qMRML") and name != root:
            assert (root, SCENE_WIRE[0], name, SCENE_WIRE[1]) in wires, f"{name} never learns of the scene"


def test_every_label_states_whether_it_reads_markup() -> None:
    """A label without a statement guesses, and takes a name with a tag for markup."""
    rich = {"gradeLabel", "proposalLegendLabel", "regionDetailsLabel", "whatIfLabel", "keysLabel"}  # our own markup
    forms = {}
    for path in UI_FILES:
        for label in ElementTree.parse(path).iter("widget"):
            if label.get("class") == "QLabel":
                stated = [p.findtext("enum") for p in label.findall("property") if p.get("name") == "textFormat"]
                forms[label.get("name")] = stated
    assert forms == {name: ["Qt::RichText" if name in rich else "Qt::PlainText"] for name in forms}
    assert rich <= set(forms)


@pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.stem)
def test_every_class_that_is_not_of_qt_is_declared(path: Path) -> None:
    declared = {item.findtext("class") for item in ElementTree.parse(path).iter("customwidget")}
    assert {kind for kind in widgets(path).values() if not kind.startswith("Q")} == declared


@pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.stem)
def test_panel_files_set_no_style_sheet(path: Path) -> None:
    assert "styleSheet" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sections(), ids=lambda path: path.stem)
def test_every_widget_that_a_section_uses_is_in_its_file(path: Path) -> None:
    used = set(re.findall(r"\bui\.(\w+)", path.read_text(encoding="utf-8")))
    assert used
    assert used <= set(widgets(sections()[path]))


@pytest.mark.parametrize("path", sections(), ids=lambda path: path.stem)
def test_every_widget_that_can_be_used_is_used(path: Path) -> None:
    """A button is connected by its section, or by a file that the section imports."""
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"^from REACTKDLib\.gui\.(\w+) import", text, re.MULTILINE)
    text += "".join(path.with_name(f"{name}.py").read_text(encoding="utf-8") for name in used)
    hands = ("QPushButton", "QCheckBox", "QComboBox", "QSlider", "QToolButton", "QLineEdit", "QListWidget")
    for name, kind in widgets(sections()[path]).items():
        if kind in hands or not kind.startswith("Q"):
            assert re.search(rf"\b{name}\b", text) or kind == "qMRMLWidget", f"{name} does nothing"


def test_names_are_unique_over_all_files() -> None:
    count = Counter(name for path in UI_FILES for name in widgets(path))
    assert [name for name, times in count.items() if times > 1] == []
