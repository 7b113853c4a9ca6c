"""Steps in the panel that several tests use: load a case, grade it, toggle a box in a table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from vtk.util.numpy_support import vtk_to_numpy

GRADE_S = 180.0  # on a busy computer, including the start of the worker
CASES = [f"case {n}" for n in range(1, 7)]  # of the list in the fixture `folder` of gui/conftest.py


@cache
def small_phantom(seed: int) -> Any:
    """Return a small digital phantom with CT, FDG, acetate and masks."""
    from REACTKDLib.core.phantom import acquire, draw_patient

    return acquire(draw_patient(seed=seed, biology="independent"), size="small").case


def wait_for_inputs(user: Any, nodes: Any) -> None:
    """Wait until the panel has selected the nodes of a case that was just added to the scene.

    All of them exist, so the panel need not wait 0.4 s for more, as it does after each node.
    """
    selector, timer = user.find("segmentationSelector"), panel_of(user).nodes_timer
    patience = timer.interval
    timer.setInterval(0)
    user.wait_until(lambda: selector.currentNode() is nodes.segmentation, what="the recognition of the inputs")
    timer.setInterval(patience)


def panel_of(user: Any) -> Any:
    """Return the sections of the module's panel, and their shared state."""
    return user.application.modules["REACTKD"].widgetRepresentation().self().panel


@contextmanager
def without_work(user: Any) -> Iterator[None]:
    """Stop the panel's timer while the block runs: what a click has begun stays as it is, as on a busy computer."""
    timer = panel_of(user).timer
    timer.stop()
    yield
    timer.start()


def open_folder(user: Any, monkeypatch: Any, folder: Path) -> None:
    """Click the button and choose the folder of cases in the dialog."""
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(folder)))
    user.open_section("casesSection")
    user.application.window.set_panel_width(640)  # wide enough for all columns of the table
    user.click("openFolderButton")


def open_first(user: Any, widget: Any, monkeypatch: Any, folder: Path, model: Path, cases: int) -> Any:
    """Open a list of the first cases of the fixture `folder`, with a model; return the nodes of the first."""
    for name in CASES[cases:]:
        shutil.rmtree(folder / name)
    choose_model(user, model)
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    return at_hand(user, widget, CASES[0])


def at_hand(user: Any, widget: Any, name: str) -> Any:
    """Wait until this case is open, and return its nodes."""
    context = widget.panel.context
    user.wait_until(lambda: context.nodes is not None and context.state.case_id == name, GRADE_S, f"case {name}")
    return context.nodes


def choose_model(user: Any, folder: Any) -> None:
    """Paste the folder of a model into the settings at the end of the panel, which check it after every letter."""
    user.open_section("settingsSection")
    user.type("modelPathEdit", str(folder), paste=True)
    assert user.find("modelPathEdit").currentPath == str(folder)


def grade(user: Any) -> None:
    """Press the button and wait until the result is available and drawn."""
    user.click("gradeButton")
    wait_for_grade(user)


def wait_for_grade(user: Any) -> None:
    """Wait until nothing is running and a result is available."""
    user.wait_until(lambda: user.find("gradeButton").enabled and user.sees("gradeLabel"), GRADE_S, "a grade")


def wait_for_annotations(user: Any) -> None:
    """Wait until outlines and names are drawn in the views, which the panel does one by one."""
    views = next(section for section in panel_of(user).sections if section.ui_file == "ViewsPanel.ui")
    user.wait_until(lambda: views._todo is None, what="the names in the views")


def probabilities(user: Any) -> dict[str, float]:
    """Return the percentages shown by the bars."""
    names = ("well", "moderate", "poor")
    return {name: float(user.find(f"probabilityBar_{name}").format.split()[0]) for name in names}


def toggle_box(user: Any, table_name: str, row: int) -> None:
    """Click on the check mark at the left of a row."""
    table = user.find(table_name)
    index = table.model().index(row, 0)
    table.scrollTo(index)
    where = table.visualRect(index)
    spot = QPoint(where.left() + 10, where.center().y())
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, spot)
    user.settle()


def segments_as_bytes(segmentation: Any) -> dict[str, Any]:
    """Return everything of a segmentation that must not change: names, colors, terminology, voxels, position."""
    data, found = segmentation.GetSegmentation(), {}
    for segment_id in data.GetSegmentIDs():
        segment = data.GetSegment(segment_id)
        image = segment.GetRepresentation("Binary labelmap")
        scalars = image.GetPointData().GetScalars()
        voxels = vtk_to_numpy(scalars).tobytes() if scalars is not None else b""
        identity = segment.GetName(), tuple(segment.GetColor()), segment.GetTerminology(), segment.GetLabelValue()
        found[segment_id] = (*identity, image.GetExtent(), voxels)
    return found
