"""Nodes that this module made are no inputs, also for a script, which no selector keeps from choosing them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.own_results import refuse_results
from REACTKDLib.scene.scene_nodes import new_marked_node
from REACTKDLib.scene.segments import choose_segments
from REACTKDLib.scene.volumes import ijk_to_ras_of
from support.edits import mask_of, paint
from support.script_runs import run

WORDS = "What is chosen as {role} is a temporary copy of this module"


@pytest.fixture
def proposal(fixer, nodes):
    """A proposed fix: of a lesion in the corner of the image."""
    stray = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    stray[:] = False
    stray[1:4, 1:5, 1:6] = True
    paint(nodes.segmentation, "Tumor", stray, nodes.reference)
    place = (ijk_to_ras_of(nodes.reference) @ [3.0, 2.5, 2.0, 1.0])[:3]
    finding = Finding("lesion-outside-liver", "warning", "A lesion lies outside.", tuple(place))
    fixer.propose(nodes, choose_segments(nodes.segmentation), finding)
    run(fixer)
    assert fixer.error is None
    return fixer.proposal


def test_a_proposed_fix_is_refused_as_masks_until_it_is_accepted(scene, nodes, proposal, fixer) -> None:
    """It was graded, and gone as soon as the fix was accepted or rejected."""
    with pytest.raises(UsageError, match=WORDS.format(role="the segmentation")):
        refuse_results(scene, replace(nodes, segmentation=proposal.node))
    refuse_results(scene, nodes)
    fixer.accept()
    refuse_results(scene, nodes)


def test_the_module_logic_refuses_a_proposed_fix_too(scene, dispatcher, nodes, proposal) -> None:
    with closing(GradingController(scene, dispatcher)) as controller:
        controller.grade(replace(nodes, segmentation=proposal.node))
        run(controller)
        assert WORDS.format(role="the segmentation") in controller.error and controller.opened is None


def test_a_copy_of_an_image_for_the_views_is_refused(scene, nodes) -> None:
    twin = scene.AddNode(new_marked_node(scene, "vtkMRMLScalarVolumeNode", "CT", "REACTKD.Shown", "ct"))
    with pytest.raises(UsageError, match=WORDS.format(role="the CT")):
        refuse_results(scene, replace(nodes, volumes={**nodes.volumes, Modality.CT: twin}))


def test_a_hidden_node_of_the_user_is_not_refused(scene, nodes) -> None:
    nodes.segmentation.SetHideFromEditors(True)
    nodes.segmentation.SetSaveWithScene(False)
    refuse_results(scene, nodes)
