"""The module lives as Slicer's modules do: entered, left, reloaded, scene closed, application closed."""

from __future__ import annotations

import sys
import unittest
from typing import Any

import slicer


def test_the_panel_opens(user: Any) -> None:
    assert user.sees("gradeButton") and not user.find("gradeButton").enabled
    assert user.text("stateLabel") == "Choose a segmentation and at least one image."
    assert "not for clinical use" in user.text("clinicalUseLabel")
    user.screenshot("panel-empty")
    user.screenshot("window-empty", of="window")


def test_reload_makes_a_new_panel_that_works(application: Any, user: Any, widget: Any) -> None:
    before = widget
    widget.onReload()
    user.settle()
    after = application.modules["REACTKD"].widgetRepresentation().self()
    assert after is not before and type(after) is not type(before)
    assert user.sees("gradeButton")


def test_scene_close_and_a_second_case(user: Any, phantom_nodes: Any) -> None:
    user.choose("segmentationSelector", phantom_nodes.segmentation)
    slicer.mrmlScene.Clear(0)
    assert user.find("segmentationSelector").currentNode() is None


def test_leaving_and_closing(application: Any, user: Any, panel: Any) -> None:
    application.select_module("SegmentEditor")
    assert not panel.isEntered
    application.select_module("REACTKD")
    assert panel.isEntered
    application.close()
    assert not application.modules["REACTKD"].has_panel


def test_the_modules_own_test_passes(application: Any) -> None:
    """What ctest runs in a build of Slicer; the Reload and Test button calls runTest, which runs the same."""
    loaded = unittest.TestLoader().loadTestsFromTestCase(sys.modules["REACTKD"].REACTKDTest)
    result = unittest.TestResult()
    loaded.run(result)
    assert result.testsRun == 2
    assert not result.errors and not result.failures, result.errors + result.failures
