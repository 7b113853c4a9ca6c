"""A case is graded by clicks and follows mask edits; whatever goes wrong, the panel keeps working."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
import slicer

from REACTKDLib.core.modality import Modality
from support.data_module import names, top_folder, tree
from support.edits import ball, erase, paint
from support.panel_steps import (
    GRADE_S,
    grade,
    probabilities,
    segments_as_bytes,
    wait_for_annotations,
    wait_for_grade,
    wait_for_inputs,
)
from support.waits import within


def graded_nodes() -> set[str]:
    """IDs of all nodes of the scene."""
    return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}


def test_a_case_is_graded(user: Any, phantom_nodes: Any, context: Any, worker: Any) -> None:
    """With the model that is shipped."""
    nodes = phantom_nodes
    wait_for_inputs(user, nodes)
    before = segments_as_bytes(nodes.segmentation)
    user.screenshot("inputs-recognized", of="window")
    with worker.answers_unread():
        user.click("gradeButton")
        assert user.find("cancelButton").enabled and not user.find("gradeButton").enabled
        assert user.sees("progressBar") and user.text("stateLabel").endswith("...")
        user.screenshot("grade-running")
    wait_for_grade(user)
    user.screenshot("graded", of="window")
    user.screenshot("graded-panel")
    report = context.report
    assert "differentiated" in user.text("gradeLabel") or "Uncertain" in user.text("gradeLabel")
    assert probabilities(user) == pytest.approx({k: round(100 * v, 1) for k, v in report.probabilities.items()})
    assert "CT, FDG PET and acetate PET" in user.text("detailsLabel") and "reactkd-phantom" in user.text("detailsLabel")
    assert user.text("clinicalUseLabel") == "Trained on digital phantoms: not for clinical use."
    assert not user.sees("progressBar") and not user.find("cancelButton").enabled
    assert segments_as_bytes(nodes.segmentation) == before


def test_the_tree_of_the_module_data_has_the_result_in_one_folder(user: Any, nodes: Any, context: Any) -> None:
    """With plain names: a number behind a name tells a second result."""
    grade(user)
    assert tree().GetItemByDataNode(context.outputs.liver_outline), "not shown, but Slicer asks for it"
    assert names() == ["CT", "FDG PET", "Acetate PET", "Segmentation", "REACTKD CT"]
    assert sorted(names(top_folder("REACTKD CT"))) == [
        "REACTKD color scale",
        "REACTKD graph edges",
        "REACTKD graph nodes",
        "REACTKD region table",
        "REACTKD regions",
        "REACTKD voxel map",
    ]


def test_other_inputs_make_the_result_outdated_and_are_named(user: Any, nodes: Any) -> None:
    grade(user)
    user.open_section("inputsSection")
    user.choose("fdgSelector", None)
    assert "have changed since this grade" in user.text("stateLabel")
    grade(user)
    assert "Computed from CT and acetate PET" in user.text("detailsLabel")
    assert not user.sees("stateLabel")

    user.choose("acetateSelector", None)
    grade(user)
    details = user.find("detailsLabel")
    assert "Computed from CT on the CPU by the model " in details.text
    assert re.fullmatch(r"The computation took \d+\.\d s\.", details.toolTip)

    user.check("tumorList", "Tumor", on=False)
    grade(user)
    assert "No grade" in user.text("gradeLabel") and not user.sees("probabilityWidget")
    assert "No tumor is marked" in user.text("findingLabel0")
    user.screenshot("no-grade")


def test_live_updates_after_an_edit_without_encoding_and_includes_a_new_segment(
    user: Any, nodes: Any, context: Any
) -> None:
    grade(user)
    before, first = probabilities(user), context.report
    user.click("liveCheckBox")
    place = first.regions[1].centroid_ras_mm
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, place, 22.0), nodes.reference)
    user.wait_until(lambda: context.report is not first and not context.busy, GRADE_S, "the grade to follow")
    assert context.controller.answer.encoder_calls == 0
    assert probabilities(user) != before
    user.screenshot("live", of="window")

    first = context.report
    data = nodes.segmentation.GetSegmentation()
    data.AddEmptySegment("another", "Tumor 2", [1, 0, 0])
    parenchyma = first.regions[0].centroid_ras_mm
    paint(nodes.segmentation, "Tumor 2", ball(nodes.reference, parenchyma, 9.0), nodes.reference)
    user.wait_until(lambda: len(context.report.regions) > len(first.regions), GRADE_S, "the new lesion")
    user.wait_until(lambda: not context.busy, GRADE_S, "the end")


@pytest.mark.slow
@pytest.mark.parametrize(("again", "last"), [(False, 100), (True, 100), (True, 5)])
def test_the_display_can_be_chosen_while_the_result_is_drawn(
    user: Any, nodes: Any, context: Any, widget: Any, monkeypatch: Any, again: bool, last: int
) -> None:
    """At each step of the drawing; the last choice applies in the end."""
    monkeypatch.setattr("REACTKDLib.scene.script_runner.SLICE_S", 0.0)
    if again:
        grade(user)
    widget.panel.timer.stop()
    controller, steps = context.controller, 0
    user.click("gradeButton")
    while controller.busy:
        controller.poll()
        if controller._unbroken and steps < last:
            steps += 1
            context.set_view(opacity=0.2 + 0.01 * (steps % 9), legend=False)
            user.settle()
    assert steps >= 5 and controller.error is None
    assert context.outputs.regions.GetDisplayNode().GetOpacity2DFill() == pytest.approx(context.state.view.opacity)
    legends = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert legends and not any(legend.GetVisibility() for legend in legends)


def test_without_live_an_edit_is_reported_and_not_graded(user: Any, nodes: Any, context: Any) -> None:
    grade(user)
    first = context.report
    lesion = ball(nodes.reference, first.regions[1].centroid_ras_mm, 40.0)
    erase(nodes.segmentation, "Tumor", lesion, nodes.reference)
    user.wait_until(lambda: user.sees("stateLabel") and "have changed" in user.text("stateLabel"), what="the edit")
    assert context.report is first
    user.click("liveCheckBox")
    user.wait_until(lambda: context.report is not first and not context.busy, GRADE_S, "the grade to follow")
    assert len(context.report.regions) == len(first.regions) - 1


def test_cancel_takes_less_than_a_second_and_then_another_module_is_entered_while_it_runs(
    user: Any, nodes: Any, context: Any, worker: Any, application: Any
) -> None:
    there = graded_nodes()
    with worker.answers_unread():
        user.click("gradeButton")
        user.wait_until(lambda: context.controller.progress[0] >= 0.2, GRADE_S, "the worker to begin")
        user.click("cancelButton")
    with within(1.0):
        user.wait_until(lambda: user.find("gradeButton").enabled, what="the end")
    assert graded_nodes() == there and not user.sees("gradeLabel")
    assert user.text("stateLabel") == "Ready to grade."

    with worker.answers_unread():
        user.click("gradeButton")
        application.select_module("SegmentEditor")
    user.wait_until(lambda: context.report is not None and not context.busy, GRADE_S, "a grade")
    application.select_module("REACTKD")
    assert user.sees("gradeLabel")


@pytest.mark.slow
def test_a_result_that_arrives_in_another_module_moves_no_slice(
    user: Any, nodes: Any, context: Any, worker: Any, application: Any
) -> None:
    """By then the user may be drawing there."""
    with worker.answers_unread():
        user.click("gradeButton")
        application.select_module("SegmentEditor")
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    before = slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()).copy()
    user.wait_until(lambda: context.result is not None and not context.busy, GRADE_S, "the answer")
    assert (slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()) == before).all()


def loads(share: float, step: str) -> bool:
    """True from when the libraries are loaded on; they may be loaded before the next look."""
    return "Loading" in step or share >= 0.2


def test_cancel_twice_while_libraries_load_then_grade(user: Any, nodes: Any, context: Any, worker: Any) -> None:
    worker.end()
    for _ in range(2):
        with worker.answers_unread():
            user.click("gradeButton")
            user.wait_until(lambda: loads(*context.controller.progress), GRADE_S, "the libraries")
            user.click("cancelButton")
        with within(1.0):
            user.wait_until(lambda: user.find("gradeButton").enabled, what="the end")
        assert user.text("stateLabel") == "Ready to grade."
    grade(user)
    assert sum(probabilities(user).values()) == pytest.approx(100.0, abs=0.2)


def test_after_a_failure_grading_again_makes_no_new_nodes_and_gives_the_same_result(
    user: Any, nodes: Any, small_model: Any, tmp_path: Any
) -> None:
    user.open_section("settingsSection")
    user.type("modelPathEdit", str(tmp_path), enter=False)
    user.click("gradeButton")
    user.wait_until(lambda: user.find("gradeButton").enabled, GRADE_S, "the failure")
    assert not user.sees("gradeLabel")
    message = user.text("stateLabel")
    assert message and "Traceback" not in message
    user.screenshot("failed")
    user.type("modelPathEdit", str(small_model), enter=False)

    grade(user)
    assert not user.sees("stateLabel")
    wait_for_annotations(user)
    first, there = probabilities(user), graded_nodes()
    grade(user)
    wait_for_annotations(user)
    assert graded_nodes() == there and probabilities(user) == first


def test_an_input_is_deleted_and_the_scene_closes_while_it_runs(
    user: Any, scene: Any, nodes: Any, context: Any, worker: Any
) -> None:
    with worker.answers_unread():
        user.click("gradeButton")
        user.wait_until(lambda: context.controller.progress[0] >= 0.2, GRADE_S, "the worker to begin")
        scene.RemoveNode(nodes.volumes[Modality.FDG])
    user.wait_until(lambda: user.find("gradeButton").enabled, GRADE_S, "the end")
    assert "An input was removed" in user.text("stateLabel")
    grade(user)
    assert "CT and acetate PET" in user.text("detailsLabel")

    with worker.answers_unread() as unread:
        user.click("gradeButton")
        user.wait_until(lambda: context.busy and unread, GRADE_S, "the worker's answer")
        scene.Clear(0)
        user.settle()
    assert not context.busy and user.text("stateLabel") == "Choose a segmentation and at least one image."
    assert not user.sees("progressBar")


def test_the_module_is_reloaded_while_it_runs(
    application: Any, user: Any, nodes: Any, widget: Any, worker: Any
) -> None:
    with worker.answers_unread():
        user.click("gradeButton")
        user.wait_until(lambda: widget.panel.context.controller.progress[0] >= 0.1, GRADE_S, "the work to begin")
        widget.onReload()
    user.settle()
    assert widget.panel.timer.active is False
    assert user.find("gradeButton").enabled, "the choices are in the scene"
    grade(user)


def test_a_saved_scene_shows_its_result_again(user: Any, scene: Any, nodes: Any, tmp_path: Any) -> None:
    from support.scene_files import load_scene, save_scene

    grade(user)
    before, table = probabilities(user), user.rows("regionTable")
    save_scene(scene, tmp_path / "scene.mrb")
    scene.Clear(0)
    user.settle()
    assert not user.sees("gradeLabel")
    load_scene(scene, tmp_path / "scene.mrb")
    user.settle()
    assert probabilities(user) == before and user.rows("regionTable") == table
    assert user.sees("regionTable") and not user.sees("stateLabel")
    grade(user)
    assert probabilities(user) == before


@pytest.mark.slow
def test_a_gpu_without_memory_falls_back_to_the_cpu_and_is_reported(user: Any, nodes: Any, context: Any) -> None:
    from REACTKDLib.core.worker.client import WorkerClient
    from REACTKDLib.core.worker.dispatcher import JobDispatcher

    context.controller.dispatcher = JobDispatcher(WorkerClient(runner="support.worker_runs:OutOfMemory"))
    try:
        user.open_section("settingsSection")
        user.choose("deviceComboBox", "GPU")
        grade(user)
        assert "on the CPU" in user.text("detailsLabel")
        assert "The GPU was not used: it has too little free memory" in user.text("gradeFindingsLabel")
        user.screenshot("device-fallback")
    finally:
        context.controller.dispatcher.close()


def test_the_worker_loads_its_libraries_before_the_click(user: Any, widget: Any, nodes: Any, context: Any) -> None:
    timer = next(part for part in widget.panel.sections if part.ui_file == "GradePanel.ui").warm_up_timer
    assert timer.interval >= 1000, "the inputs are shown first"
    timer.setInterval(100)
    asked = []
    submit = context.dispatcher.submit
    context.dispatcher.submit = lambda job, *more, **how: asked.append(job) or submit(job, *more, **how)
    user.wait_until(lambda: asked, 10, "the model to be loaded")
    user.open_section("inputsSection")
    user.choose("fdgSelector", None)
    later = time.monotonic() + 0.3
    user.wait_until(lambda: time.monotonic() > later and not context.dispatcher.waiting, GRADE_S, "its end")
    from REACTKDLib.core.worker.jobs import Model, WarmUp

    assert asked == [WarmUp(Model(context.state.model, context.state.device))], "once for a model"
    grade(user)


def test_several_models_give_one_result(user: Any, nodes: Any, context: Any, small_model: Any, tmp_path: Any) -> None:
    """The mean of the members and their spread, and none of the values that a mean of probabilities does not have."""
    from REACTKDLib.core.student.ensemble import MEMBERS, write_ensemble
    from support.small_models import write_small_model

    for seed in (1, 2):
        write_small_model(tmp_path / MEMBERS / f"fold{seed}", seed)
    write_ensemble(tmp_path, ["fold1", "fold2"])
    context.use_bundle(tmp_path)
    grade(user)
    report = context.report
    assert len(report.ensemble.members) == 2 and "(2 models)" in user.text("detailsLabel")
    for name, value in report.probabilities.items():
        spread = report.ensemble.spread[name]
        shown = user.find(f"probabilityBar_{name}").format
        assert shown == f"{100 * value:.1f} % ({100 * spread.low:.1f} to {100 * spread.high:.1f})"
    user.screenshot("graded-by-an-ensemble", of="window")
    hint, details = user.text("whyHintLabel"), user.text("regionDetailsLabel")
    assert "of 2; from model to model" in hint and "Weight" in details and "Adds to" not in details
    assert not context.other_model
    assert report.grades is None and "cases like those the model was tested on" not in user.text("detailsLabel")


def test_grades_that_cannot_be_ruled_out_are_shown(user: Any, nodes: Any, context: Any, tmp_path: Any) -> None:
    from REACTKDLib.core.student.bundle import Bundle
    from support.small_models import metadata_for, random_student

    student = random_student()
    metadata = metadata_for(student)
    metadata["reactkd"]["grade_sets"] = {"coverage": 0.9, "least": {"ct+fdg+acetate": 0.0}}
    Bundle.save(tmp_path / "model", student, metadata)
    context.use_bundle(tmp_path / "model")
    grade(user)
    assert user.text("detailsLabel").startswith(
        "Grades that cannot be ruled out: well, moderate, poor. In 90 % of cases like those the model was tested on, "
        "the true grade is among them. Computed from CT"
    )
    user.screenshot("graded-with-a-set", of="window")
