"""Images and masks that show a time point of a sequence: a result belongs to the time points that were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import slicer

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene import mask_check
from REACTKDLib.scene.case import CaseNodes, nodes_from_case
from REACTKDLib.scene.graded_inputs import read_content
from REACTKDLib.scene.mask_check import MaskChecker
from REACTKDLib.scene.script_runner import RunState, ScriptRunner
from REACTKDLib.scene.segments import choose_segments
from support.edits import ball, paint
from support.reading_steps import PLACE, listed_case
from support.script_runs import run
from support.time_points import two_time_points

SHOWN = [*Modality, "masks"]


@pytest.fixture
def nodes(scene: Any) -> CaseNodes:
    return nodes_from_case(scene, listed_case())


def brighten(node: Any) -> None:
    slicer.util.arrayFromVolume(node)[:] += 5
    slicer.util.arrayFromVolumeModified(node)


def shown(nodes: CaseNodes, what: Modality | str) -> Callable[[int], None]:
    """Make an image or the masks show the first of two time points; see `two_time_points`."""
    scene = nodes.reference.GetScene()
    if what != "masks":
        return two_time_points(scene, nodes.volumes[what], brighten)
    more = ball(nodes.reference, PLACE, 9.0)
    return two_time_points(scene, nodes.segmentation, lambda node: paint(node, "Tumor", more, nodes.reference))


def interrupted(runner: ScriptRunner, start: Callable[[], Any], go: Callable[[int], None]) -> Iterator[int]:
    """Yield after each run of a task that is shown another time point during one of the steps before its first job."""
    at = 0
    while True:
        start()
        steps = 0
        while runner.busy and runner._ticket is None and steps < at:
            runner._step()
            steps += 1
        if steps < at:
            run(runner)
            return
        go(1)
        if runner.busy and runner._ticket is None:
            runner._step()
        go(0)
        run(runner)
        assert runner.state is RunState.IDLE, runner.error
        yield at
        at += 1


@pytest.mark.parametrize("what", SHOWN)
def test_a_result_of_another_time_point_is_outdated(controller, nodes, what):
    go = shown(nodes, what)
    controller.grade(nodes)
    run(controller)
    assert not controller.opened.images_changed and not controller.opened.masks_changed
    go(1)
    assert controller.opened.images_changed is (what != "masks")
    assert controller.opened.masks_changed is (what == "masks")
    go(0)
    assert not controller.opened.images_changed and not controller.opened.masks_changed


@pytest.mark.parametrize("what", SHOWN)
def test_a_time_point_changed_while_a_case_is_read_is_detected(controller, nodes, what):
    go = shown(nodes, what)
    told = []
    for at in interrupted(controller, lambda: controller.grade(nodes), go):
        opened = controller.opened
        told.append(opened.images_changed or opened.masks_changed)
        assert told[-1] or opened.content == read_content(nodes, opened.choice), f"silently of other voxels, step {at}"
    assert len(told) > 3 and not all(told)


def test_a_time_point_changed_while_masks_are_read_is_detected(controller, nodes):
    go = shown(nodes, "masks")
    controller.grade(nodes)
    run(controller)
    for at in interrupted(controller, controller.regrade, go):
        opened = controller.opened
        same = opened.content == read_content(nodes, opened.choice)
        assert opened.masks_changed or same, f"silently of other masks, step {at}"


def test_findings_on_another_time_point_are_outdated(
    scene: Any, dispatcher: Any, nodes: CaseNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time points differ in the tumor: the findings belong to the masks shown, unless it was read amid them."""
    go, checker, choice = shown(nodes, "masks"), MaskChecker(scene, dispatcher), choose_segments(nodes.segmentation)
    handed, hand_over = [], mask_check.masks_content
    monkeypatch.setattr(mask_check, "masks_content", lambda masks: handed.append(hand_over(masks)) or handed[-1])
    told = []
    for at in interrupted(checker, lambda: checker.check(nodes, choice), go):
        told.append(checker.inputs_changed(nodes, choice))
        now = read_content(nodes, choice)
        assert told[-1] is not all(entry in now for entry in handed[-1]), f"step {at}"
    assert any(told) and not all(told)
    checker.close()
