"""What the panel asks for and says, by clicks; and that the module's own test passes."""

from __future__ import annotations

import sys
import unittest
from typing import Any

import pytest
import slicer

from REACTKDLib.core.errors import EmptySegmentation


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


@pytest.mark.parametrize("volume", ["ctSelector", "fdgSelector", "acetateSelector"])
def test_apply_waits_for_a_segmentation_and_any_one_volume(user: Any, volume: str) -> None:
    segmentation, image = add("vtkMRMLSegmentationNode", "S"), add("vtkMRMLScalarVolumeNode", "V")
    apply = user.find("applyButton")
    assert not apply.enabled and "Choose" in apply.toolTip
    user.choose("segmentationSelector", segmentation)
    assert not apply.enabled
    user.choose(volume, image)
    assert apply.enabled and "Choose" not in apply.toolTip
    user.choose("segmentationSelector", None)
    assert not apply.enabled


def test_apply_grades_what_is_chosen_and_shows_the_answer(user: Any, widget: Any) -> None:
    widget.logic = logic = Logic()
    ct, segmentation = add("vtkMRMLScalarVolumeNode", "CT"), add("vtkMRMLSegmentationNode", "Segmentation")
    user.choose("ctSelector", ct)
    user.choose("segmentationSelector", segmentation)
    user.click("applyButton")
    assert logic.asked == ["packages", (ct, None, None, segmentation)]
    assert user.text("resultLabel") == "described parameter node"


def test_a_known_fault_is_one_sentence_in_the_panel(user: Any, widget: Any) -> None:
    widget.logic = Logic(failure=EmptySegmentation("The segmentation is empty; draw the liver."))
    user.choose("ctSelector", add("vtkMRMLScalarVolumeNode", "CT"))
    user.choose("segmentationSelector", add("vtkMRMLSegmentationNode", "Segmentation"))
    user.click("applyButton")
    assert user.text("resultLabel") == "The segmentation is empty; draw the liver."


def test_the_panel_says_that_it_is_not_for_clinical_use(user: Any) -> None:
    assert "not for clinical use" in user.text("clinicalUseLabel")


def test_the_modules_own_test_passes(application: Any) -> None:
    """What the Reload and Test button runs in Slicer: a phantom, graded by the shipped model through the logic."""
    result = unittest.TestResult()
    sys.modules["REACTKD"].REACTKDTest().run(result)
    assert result.testsRun == 1
    assert not result.errors and not result.failures, result.errors + result.failures
