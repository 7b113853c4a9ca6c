"""Adding an explanation value takes one file, adding a panel section one file and a line: done in a copy of the tree.

The added files are those shown by the pages in docs/how-to; the tests of each, which use the panel of the copy, follow
below.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.page_code import code_of

REPOSITORY = Path(__file__).resolve().parents[3]
LIBRARY = "REACTKD/REACTKDLib"
NOT_COPIED = shutil.ignore_patterns("__pycache__", "Screenshots")

WEIGHTED_VOLUME, ALONE = code_of("how-to/add_a_value.md")
VALUE_TESTS = """
import csv
import io
import math

import jsonschema
import pytest
import slicer

from REACTKDLib.core.reports.html import report_page
from REACTKDLib.core.reports.report import GradeReport, regions_csv, report_schema
from REACTKDLib.scene.colors import weight_color
from REACTKDLib.scene.panel_state import PanelState
from support.panel_steps import grade


@pytest.fixture
def report(user, nodes, context):
    grade(user)
    return context.report


def weighted(row):
    return row.weight * row.volume_ml


def test_it_is_in_the_panel(user, report):
    from REACTKDLib.gui.region_table import details

    for index, row in enumerate(report.regions):
        told = details(report, index).replace("&nbsp;", " ")
        assert f"Alone {report.grade} %: {100 * row.others['alone'][report.grade]:.1f}" in told
        assert (f"Weighted ml: {weighted(row):.2f}" in told) if row.volume_ml else ("Weighted" not in told)
    names = [row[0] for row in user.rows("regionTable")]
    user.click_cell("regionTable", names.index("Lesion 1"), 1)
    assert user.text("regionDetailsLabel") == details(report, 1)


def test_colors_can_stand_for_it(user, report, context, scene):
    box = user.find("overlayComboBox")
    texts = [box.itemText(n) for n in range(box.count)]
    assert texts[-5:] == ["Alone: well", "Alone: moderate", "Alone: poor", "Weight times volume", "Voxel map"]
    lesions = [row for row in report.regions if row.kind == "tumor"]
    for text, key, legend_text, value in (
        ("Weight times volume", "weight_times_volume", "weighted volume", weighted),
        ("Alone: well", "alone:well", "well alone", lambda row: row.others["alone"]["well"]),
    ):
        user.choose("overlayComboBox", text)
        assert PanelState.of(scene).view.overlay.key == key and context.state.view.overlay.key == key
        outputs = context.outputs
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(outputs.scale)
        assert legend.GetVisibility() and legend.GetTitleText().split("\\n")[1] == legend_text
        limit, times = max(value(row) for row in lesions), 100 if key == "alone:well" else 1
        assert outputs.scale.GetDisplayNode().GetScalarRange() == pytest.approx((0, limit * times))
        data = outputs.regions.GetSegmentation()
        colors = [data.GetSegment(data.GetNthSegmentID(n)).GetColor() for n in range(data.GetNumberOfSegments())]
        expected = [weight_color(value(row), limit) for row in report.regions[:-1]]
        assert [pytest.approx(color, abs=1e-6) for color in expected] == colors


def test_it_is_in_the_table_node(report, context):
    node = context.outputs.table
    values = slicer.util.arrayFromTableColumn(node, "weight times volume")
    assert values[:-1] == pytest.approx([weighted(row) for row in report.regions[:-1]], rel=1e-5)
    assert math.isnan(values[-1])
    assert node.GetColumnUnitLabel("weight times volume") == "ml"
    assert node.GetColumnDescription("weight times volume") == "Weight times volume."
    alone = slicer.util.arrayFromTableColumn(node, "alone poor")
    assert alone == pytest.approx([row.others["alone"]["poor"] for row in report.regions], rel=1e-5)


def test_it_is_in_every_file(report):
    data = report.to_dict()
    jsonschema.validate(data, report_schema())
    assert data["regions"][1]["weight_times_volume"] == pytest.approx(weighted(report.regions[1]), abs=1e-7)
    assert data["regions"][-1]["weight_times_volume"] is None
    assert sum(data["regions"][1]["alone"].values()) == pytest.approx(1)
    assert GradeReport.from_dict(data).to_dict() == data
    rows = list(csv.DictReader(io.StringIO(regions_csv(report))))
    assert float(rows[1]["weight_times_volume"]) == data["regions"][1]["weight_times_volume"]
    assert rows[-1]["weight_times_volume"] == "" and float(rows[-1]["alone_poor"]) > 0
    page = report_page(report)
    assert f'<th scope="col">{report.grade} alone</th><th scope="col">Weighted ml</th>' in page
    assert f"Alone: how probable {report.grade} would be by it alone." in page
    for row in report.regions[:-1]:
        assert f"<td>{100 * row.others['alone'][report.grade]:.1f}</td><td>{weighted(row):.2f}</td>" in page


def test_a_report_of_before_is_read(report):
    data = report.to_dict()
    for row in data["regions"]:
        del row["weight_times_volume"], row["alone"]
    jsonschema.validate(data, report_schema())
    before = GradeReport.from_dict(data)
    assert before.to_dict() == data
    assert list(csv.DictReader(io.StringIO(regions_csv(before))))[1]["weight_times_volume"] == ""
    assert "Weighted ml" not in report_page(before)


def test_it_is_in_the_structured_report(report):
    sr = pytest.importorskip("highdicom").sr
    from REACTKDLib.core.reports.dicom_structured_report import _numbers

    found = {item.name.value: float(item.value) for item in _numbers(sr, report.regions[1])}
    assert found["WEIGHT-TIMES-VOL"] == pytest.approx(weighted(report.regions[1]), abs=1e-7)
    assert found["ALONE-POOR"] == pytest.approx(report.regions[1].others["alone"]["poor"], abs=1e-7)
"""


NOTE_PANEL, TRY_PANEL = code_of("how-to/add_a_section.md")
#: appended to the panel of the page: counts how often it is polled and cleaned up
COUNTED = """

class NotePanel(NotePanel):
    polls = cleaned = 0

    def poll(self):
        self.polls += 1

    def cleanup(self):
        self.cleaned += 1
        super().cleanup()
"""
TRY_UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>TryPanel</class>
 <widget class="QWidget" name="TryPanel">
  <layout class="QVBoxLayout" name="tryLayout">
   <item>
    <widget class="QPushButton" name="tryButton"><property name="text"><string>Try</string></property></widget>
   </item>
  </layout>
 </widget>
</ui>
"""
SECTION_TESTS = """
from support.panel_steps import grade


def titles(widget):
    layout = widget.frame.layout()
    buttons = [layout.itemAt(n).widget() for n in range(layout.count())]
    return [button.text.partition(":")[0] for button in buttons if button is not None]  # a folded one says more


def test_it_is_where_the_list_of_sections_says(widget, user):
    names = "Try,Cases,Inputs,Masks,Grade,Why,A note,Reader,Views,Report,Training,Settings".split(",")
    assert titles(widget) == names and user.find("noteSection").text == "A note"
    assert user.sees("noteLabel") and user.text("noteLabel") == "nothing, no list"
    user.toggle_section("noteSection")
    assert not user.sees("noteLabel")
    user.toggle_section("noteSection")
    user.screenshot("own-section")


def test_its_ui_file_is_loaded_and_wired(widget, user):
    user.click("tryButton")
    assert widget.panel.sections[0].tried == 1


def test_it_follows_the_case_and_the_timer(widget, user, nodes, context):
    section = widget.panel.sections[6]
    polls = section.polls
    grade(user)
    assert user.text("noteLabel") == f"{context.report.grade}, no list" and section.polls > polls
    context.close_case()
    assert user.text("noteLabel") == "nothing, no list"


def test_it_is_cleaned_up_and_comes_again(application, widget, user):
    section = widget.panel.sections[6]
    widget.onReload()
    user.settle()
    assert section.cleaned >= 1 and user.text("noteLabel") == "nothing, no list"
    polls = section.polls
    user.wait_until(lambda: widget.parent.self().panel.sections[6].polls > 3, what="the timer of the new panel")
    assert section.polls == polls, "the old one is asked no more"
    after = widget.parent.self().panel.sections[6]
    application.close()
    assert after.cleaned >= 1
"""


def add_the_values(tree: Path) -> None:
    """Add the two files."""
    (tree / LIBRARY / "core/reports/values/weight_times_volume.py").write_text(WEIGHTED_VOLUME)
    (tree / LIBRARY / "core/reports/values/alone.py").write_text(ALONE)


def add_the_sections(tree: Path) -> None:
    """Add a file for each section, a .ui file for one of them, and their lines in the list of sections."""
    (tree / LIBRARY / "gui/note_panel.py").write_text(NOTE_PANEL + COUNTED)
    (tree / LIBRARY / "gui/try_panel.py").write_text(TRY_PANEL)
    (tree / "REACTKD/Resources/UI/TryPanel.ui").write_text(TRY_UI)
    panel = tree / LIBRARY / "gui/panel.py"
    text = panel.read_text()
    for name, line in (("note", "    WhyPanel,\n"), ("try", "type[Section], ...] = (\n")):
        assert text.count(line) == 1
        text = text.replace(line, f"{line}    {name.title()}Panel,\n")
        text = text.replace("import qt\n", f"import qt\nfrom REACTKDLib.gui.{name}_panel import {name.title()}Panel\n")
    panel.write_text(text)


ADDED = {"value": (add_the_values, VALUE_TESTS), "section": (add_the_sections, SECTION_TESTS)}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The output of pytest for the tests in a copy of everything the panel needs, with all additions made."""
    tree = tmp_path_factory.mktemp("adding") / "tree"
    for name in ("REACTKD", "Testing/host", "Testing/support"):
        shutil.copytree(REPOSITORY / name, tree / name, ignore=NOT_COPIED)
    (tree / "Testing/python/gui").mkdir(parents=True)
    for name in ("pyproject.toml", "Testing/python/conftest.py", "Testing/python/gui/conftest.py"):
        shutil.copy(REPOSITORY / name, tree / name)
    for name, (add, tests) in ADDED.items():
        add(tree)
        (tree / f"Testing/python/gui/test_{name}.py").write_text(tests)
    foreign = [path for path in sys.path if path and not Path(path).resolve().is_relative_to(REPOSITORY / "REACTKD")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "Testing/python/gui"],
        cwd=tree, env={**os.environ, "PYTHONPATH": os.pathsep.join(foreign)},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    yield done.stdout + done.stderr
    shutil.rmtree(tree)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADDED)
def test_the_examples_of_the_pages_work_in_a_copy_of_the_tree(name: str, outcome: str) -> None:
    passed = re.findall(rf"test_{name}\.py::\w+ PASSED", outcome)
    assert len(passed) == ADDED[name][1].count("\ndef test_"), outcome
