"""The module's panel on real Qt and a real scene: what it asks for and says, and that its test in Slicer passes."""

from __future__ import annotations

import importlib
import sys
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import slicer

from host.boot import Host, boot
from host.panel import View, child_widgets, load_panel
from host.scripted_module import install
from REACTKDLib.core.errors import EmptySegmentation

MODULE_FOLDER = Path(__file__).resolve().parents[3] / "REACTKD"


@pytest.fixture
def host() -> Iterator[Host]:
    booted = boot()
    booted.reset()
    yield booted
    booted.reset()


@pytest.fixture
def module() -> ModuleType:
    install()
    if str(MODULE_FOLDER) not in sys.path:
        sys.path.insert(0, str(MODULE_FOLDER))
    return importlib.import_module("REACTKD")


@contextmanager
def without_message_box(message: str, waitCursor: bool = False) -> Iterator[None]:
    """`slicer.util.tryWithErrorDisplay` in testing mode: nothing is shown, the error goes on."""
    yield


@pytest.fixture
def widget(host: Host, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The panel, set up as Slicer does when it is first shown."""
    monkeypatch.setattr(slicer.util, "loadUI", load_panel)
    monkeypatch.setattr(slicer.util, "childWidgetVariables", child_widgets)
    monkeypatch.setattr(slicer.util, "tryWithErrorDisplay", without_message_box)
    shown: list[View] = []
    widget = module.REACTKDWidget(SimpleNamespace(layout=lambda: SimpleNamespace(addWidget=shown.append)))
    widget.setup()
    assert shown
    return widget


def add(kind: str, name: str) -> Any:
    return slicer.mrmlScene.AddNewNodeByClass(kind, name)


class Logic:
    """The panel's collaborator: remembers what it was asked, and answers or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[Any] = []

    def ensurePackages(self) -> None:
        self.asked.append("packages")

    def grade(self, *nodes: Any) -> str:
        self.asked.append(nodes)
        if self.failure:
            raise self.failure
        return "parameter node"

    def describe(self, parameterNode: str) -> str:
        return f"described {parameterNode}"


def test_every_selector_has_the_scene(widget: Any, host: Host) -> None:
    for selector in (widget.ui.ctSelector, widget.ui.fdgSelector, widget.ui.acetateSelector):
        assert selector.widget.scene is host.scene
    assert widget.ui.segmentationSelector.widget.scene is host.scene


@pytest.mark.parametrize("volume", ["ctSelector", "fdgSelector", "acetateSelector"])
def test_apply_waits_for_a_segmentation_and_any_one_volume(widget: Any, volume: str) -> None:
    apply = widget.ui.applyButton
    assert not apply.enabled and "Choose" in apply.toolTip
    widget.ui.segmentationSelector.setCurrentNode(add("vtkMRMLSegmentationNode", "Segmentation"))
    assert not apply.enabled
    getattr(widget.ui, volume).setCurrentNode(add("vtkMRMLScalarVolumeNode", "Volume"))
    assert apply.enabled and "Choose" not in apply.toolTip
    widget.ui.segmentationSelector.setCurrentNode(None)
    assert not apply.enabled


def test_apply_grades_what_is_chosen_and_shows_the_answer(widget: Any) -> None:
    widget.logic = logic = Logic()
    ct, segmentation = add("vtkMRMLScalarVolumeNode", "CT"), add("vtkMRMLSegmentationNode", "Segmentation")
    widget.ui.ctSelector.setCurrentNode(ct)
    widget.ui.segmentationSelector.setCurrentNode(segmentation)
    widget.ui.applyButton.click()
    assert logic.asked == ["packages", (ct, None, None, segmentation)]
    assert widget.ui.resultLabel.text == "described parameter node"


def test_a_known_fault_is_one_sentence_in_the_panel(widget: Any) -> None:
    widget.logic = Logic(failure=EmptySegmentation("The segmentation is empty; draw the liver."))
    widget.onApplyButton()
    assert widget.ui.resultLabel.text == "The segmentation is empty; draw the liver."


def test_the_panel_says_that_it_is_not_for_clinical_use(widget: Any) -> None:
    assert "not for clinical use" in widget.ui.clinicalUseLabel.text


def test_the_modules_own_test_passes(module: ModuleType, host: Host) -> None:
    """What the Reload and Test button runs in Slicer: a phantom, graded by the shipped model through the logic."""
    result = unittest.TestResult()
    module.REACTKDTest().run(result)
    assert result.testsRun == 1
    assert not result.errors and not result.failures, result.errors + result.failures
    host.errors.assert_none()
