"""What the module hides temporarily is shown again when the last reason is gone; what the user hides stays hidden."""

from __future__ import annotations

import pytest

from REACTKDLib.scene.hiding import ANSWER, OTHER_CASE, PROPOSAL, hide, hide_only, show


@pytest.fixture
def display(nodes):
    """The display node of the user's segmentation, which is visible."""
    display = nodes.segmentation.GetDisplayNode()
    assert display.GetVisibility()
    return display


@pytest.mark.parametrize("first", [ANSWER, OTHER_CASE])
def test_a_hidden_node_is_shown_when_the_last_reason_is_removed(display, first):
    second = PROPOSAL
    hide(display, first)
    hide(display, second)
    hide(display, first)
    assert not display.GetVisibility()
    assert show(display, first) and not display.GetVisibility()
    assert not show(display, first) and not display.GetVisibility()
    assert show(display, second) and display.GetVisibility()
    assert not [name for name in display.GetAttributeNames() if name.startswith("REACTKD")]


def test_nodes_hidden_by_the_user_stay_hidden(display):
    display.SetVisibility(False)
    hide(display, ANSWER)
    assert not show(display, ANSWER) and not display.GetVisibility()


def test_nodes_shown_by_the_user_stay_visible_except_for_another_case(scene, nodes, display):
    hide_only(scene, ANSWER, nodes.segmentation)
    display.SetVisibility(True)
    hide_only(scene, ANSWER, nodes.segmentation)
    assert display.GetVisibility()
    hide(display, OTHER_CASE)
    display.SetVisibility(True)
    hide(display, OTHER_CASE)
    assert not display.GetVisibility(), "two livers would be read as one"


def test_one_segmentation_at_a_time_is_hidden_for_a_reason(scene, nodes, display):
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Second reader")
    other.CreateDefaultDisplayNodes()
    hide(other.GetDisplayNode(), OTHER_CASE)
    hide_only(scene, ANSWER, nodes.segmentation)
    assert not display.GetVisibility()
    hide_only(scene, ANSWER, other)
    assert display.GetVisibility()
    hide_only(scene, ANSWER, None)
    assert not other.GetDisplayNode().GetVisibility(), "another reason hides it still"
