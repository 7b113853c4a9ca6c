"""A case is graded by clicks, and the answer explained."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def recognized(user: Any, phantom_nodes: Any) -> Any:
    """The phantom, loaded while the module is on show; it has chosen its inputs by itself."""
    selector = user.find("segmentationSelector")
    user.wait_until(lambda: selector.currentNode() is phantom_nodes.segmentation, what="recognition")
    return phantom_nodes


def grade(user: Any) -> None:
    """Press the button and wait for the end."""
    user.click("gradeButton")
    user.wait_until(lambda: user.find("gradeButton").enabled and user.sees("gradeLabel"), 120, "a grade")


def test_a_case_is_recognized_and_graded(user: Any, recognized: Any) -> None:
    user.screenshot("inputs-recognized", of="window")
    user.click("gradeButton")
    assert user.find("cancelButton").enabled and not user.find("gradeButton").enabled
    user.screenshot("grade-running")
    user.wait_until(lambda: user.find("gradeButton").enabled and user.sees("gradeLabel"), 120, "a grade")
    user.screenshot("graded", of="window")
    user.screenshot("graded-panel")
    assert "differentiated" in user.text("gradeLabel")
    assert "digital phantoms: not for clinical use" in user.text("clinicalUseLabel")
