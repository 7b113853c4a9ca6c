"""The controller on a real scene with a real worker: what is shown and written, and what remains when it stops."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case import CaseNodes, nodes_from_case
from REACTKDLib.scene.exporting import CaseExporter
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.outputs import ROLES, outputs_of
from REACTKDLib.scene.parameter_node import (
    parameter_node_for,
    parameter_nodes,
    read_report,
    write_inputs,
    write_report,
)
from REACTKDLib.scene.script_runner import RunState
from REACTKDLib.scene.segments import choose_segments
from REACTKDLib.scene.session import SceneSession
from support.edits import erase, mask_of, paint
from support.kidney_phantoms import KIDNEY
from support.scene_cases import make_case, make_result
from support.scene_files import load_scene, save_scene
from support.script_runs import run
from support.worlds import bending_transform, linear_transform, rigid


@pytest.fixture(scope="module")
def dispatcher() -> Iterator[JobDispatcher]:
    made = JobDispatcher()
    yield made
    made.close()


ONE_STEP = "REACTKDLib.scene.script_runner.SLICE_S"  # 0: each poll takes one step, so that a test can act between two


def start_computing(controller: GradingController, nodes: CaseNodes) -> None:
    """Start grading, with the shipped model, a case that is new to the worker, and return while it computes."""
    voxels = slicer.util.arrayFromVolume(nodes.reference)
    voxels[0, 0, 0] = time.monotonic_ns() % 1000
    nodes.reference.Modified()
    controller.model = jobs.Model(None, "cpu")
    controller.grade(nodes)
    run(controller, until=lambda: "Analyzing" in controller.progress[1])


def graded(controller: GradingController, nodes: CaseNodes, **options: object) -> GradingController:
    controller.grade(nodes, **options)
    run(controller)
    assert controller.state is RunState.IDLE, controller.error
    return controller


def content_of(nodes: CaseNodes) -> list[bytes]:
    """All voxels of the inputs."""
    images = [slicer.util.arrayFromVolume(node).tobytes() for node in nodes.volumes.values()]
    return images + [mask_of(nodes.segmentation, name, nodes.reference).tobytes() for name in ("Liver", "Tumor")]


def smallest_lesion(case: Case) -> np.ndarray:
    """The voxels of the smallest lesion."""
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    return regions.mask(len(regions.regions) - 1)


def test_grades_a_case_and_writes_its_results(controller, nodes):
    states, reports, before = [], [], content_of(nodes)
    controller.state_changed.connect(states.append)
    controller.result_changed.connect(reports.append)
    controller.grade(nodes, case_id="one")
    assert controller.state is RunState.RUNNING and controller.report is None
    run(controller)
    assert states == [RunState.RUNNING, RunState.IDLE]
    assert reports == [controller.report] and controller.report.case == "one"
    assert controller.answer.encoder_calls == 3 and controller.answer.read_anew
    assert outputs_of(controller.parameter_node) is not None
    assert read_report(controller.parameter_node) == controller.report
    assert controller.result.regions.labels.shape == slicer.util.arrayFromVolume(nodes.reference).shape
    assert content_of(nodes) == before


def test_the_result_equals_that_of_the_same_case_in_a_script(controller, nodes):
    grader = Grader(Bundle.load(controller.model.bundle), "cpu")
    there = SceneSession(controller.scene, nodes, grader).answer()
    here = graded(controller, nodes).report
    assert here.grade == there.report.grade
    assert [(f.code, f.message) for f in here.findings] == [(f.code, f.message) for f in there.report.findings]
    for a, b in zip(here.regions, there.report.regions, strict=True):
        assert (a.name, a.kind) == (b.name, b.kind) and a.volume_ml == pytest.approx(b.volume_ml)
        assert a.weight == pytest.approx(b.weight, abs=2e-4)
    assert np.array_equal(controller.result.regions.labels, there.regions.labels)
    assert np.abs(controller.result.voxel_map.array - there.voxel_map.array).max() < 2e-3


def test_after_a_canceled_regrade_what_if_uses_the_masks_of_the_shown_result(controller, nodes, case, monkeypatch):
    """By then the worker has the edited masks, but the answer on the screen is still the previous one."""
    monkeypatch.setattr(ONE_STEP, 0.0)
    first = graded(controller, nodes).report
    key = controller.answer.key
    mute = [row.name for row in first.regions if row.kind == "tumor"][:1]
    controller.what_if(mute)
    run(controller)
    before = controller.what_if_answer.report
    erase(nodes.segmentation, "Tumor", smallest_lesion(case), nodes.reference)
    controller.regrade()
    run(controller, until=lambda: controller.report is not first)
    controller.cancel()
    run(controller)
    assert controller.report is first and controller.answer.key == key
    controller.what_if(mute)
    run(controller)
    assert controller.what_if_answer is None and "grade again before" in controller.error
    exporter = CaseExporter(controller.scene, controller.dispatcher)
    exporter.export_dicom(key, Path("nowhere"), Path("nowhere"))
    run(exporter)
    assert exporter.error_code == "case-not-open"
    exporter.close()
    paint(nodes.segmentation, "Tumor", smallest_lesion(case), nodes.reference)
    controller.regrade()
    run(controller)
    controller.what_if(mute)
    run(controller)
    assert controller.report.probabilities == pytest.approx(first.probabilities, abs=1e-6)
    assert controller.what_if_answer.report.probabilities == pytest.approx(before.probabilities, abs=1e-6)


def test_a_mask_edit_is_detected_and_graded_without_the_encoder(controller, nodes, case):
    first = graded(controller, nodes).report
    assert not controller.masks_changed()
    erase(nodes.segmentation, "Tumor", smallest_lesion(case), nodes.reference)
    count = controller.scene.GetNumberOfNodes()
    assert controller.masks_changed()
    controller.regrade()
    run(controller)
    assert controller.state is RunState.IDLE and not controller.masks_changed()
    assert controller.answer.encoder_calls == 0 and not controller.answer.read_anew
    assert len(controller.report.regions) == len(first.regions) - 1
    assert controller.scene.GetNumberOfNodes() == count
    again = graded(controller, nodes).report  # the Grade button, after the edit: the same answer, still no encoder
    assert controller.answer.encoder_calls == 0
    assert again.probabilities == controller.report.probabilities


def test_a_lesion_in_its_own_segment_counts_once_it_is_named(controller, nodes):
    graded(controller, nodes)
    segments = nodes.segmentation.GetSegmentation()
    segments.AddEmptySegment("second", "Tumor 2", [1.0, 0.0, 0.0])
    paint(nodes.segmentation, "Tumor 2", mask_of(nodes.segmentation, "Tumor", nodes.reference), nodes.reference)
    assert controller.masks_changed()


def test_what_if_does_not_change_the_result(controller, nodes):
    report = graded(controller, nodes).report
    stored = read_report(controller.parameter_node)
    answers = []
    controller.what_if_changed.connect(answers.append)
    controller.what_if(mute=["Lesion 1"], leave_out=[Modality.FDG])
    run(controller)
    answer = controller.what_if_answer
    assert answers == [answer] and answer.mute == ("Lesion 1",) and answer.leave_out == (Modality.FDG,)
    assert answer.report.inputs == ("ct", "acetate") and answer.report.probabilities != report.probabilities
    assert controller.report == report and read_report(controller.parameter_node) == stored
    controller.what_if()
    assert controller.what_if_answer is None and answers[-1] is None


def test_what_if_of_an_unknown_region_fails_in_a_sentence(controller, nodes):
    graded(controller, nodes)
    controller.what_if(mute=["Lesion 99"])
    run(controller)
    assert controller.state is RunState.FAILED and "no region 'Lesion 99'" in controller.error
    graded(controller, nodes)
    assert controller.error is None


def test_a_case_that_is_not_graded_has_nothing_to_regrade(controller):
    with pytest.raises(UsageError, match="grade it first"):
        controller.regrade()
    assert not controller.masks_changed()


@pytest.mark.parametrize("phase", ["reading", "computing", "drawing"])
def test_cancel_leaves_the_scene_as_it_was(controller, nodes, phase, monkeypatch):
    monkeypatch.setattr(ONE_STEP, 0.0)
    count, reports = controller.scene.GetNumberOfNodes(), []
    controller.result_changed.connect(reports.append)
    start_computing(controller, nodes) if phase == "computing" else controller.grade(nodes)
    if phase == "drawing":
        run(controller, until=lambda: bool(reports))
    assert controller.busy
    started = time.monotonic()
    controller.cancel()
    run(controller)
    assert time.monotonic() - started < 1.0
    assert controller.state is RunState.IDLE and controller.error is None
    assert controller.scene.GetNumberOfNodes() == count and parameter_nodes(controller.scene) == []
    assert controller.report is None and (not reports or reports[-1] is None)
    graded(controller, nodes)


def test_canceling_a_second_grade_restores_the_first_result(controller, nodes, case, monkeypatch):
    monkeypatch.setattr(ONE_STEP, 0.0)
    first = graded(controller, nodes).report
    erase(nodes.segmentation, "Tumor", smallest_lesion(case), nodes.reference)
    controller.regrade()
    run(controller, until=lambda: controller.report != first)
    controller.cancel()
    run(controller)
    assert controller.report == first and controller.masks_changed()
    assert read_report(controller.parameter_node) == first


@pytest.mark.parametrize("when", ["reading", "computing", "writing"])
def test_an_input_removed_while_grading_fails_with_a_message(controller, nodes, when, monkeypatch):
    scene = controller.scene
    start_computing(controller, nodes) if when == "computing" else controller.grade(nodes)
    if when == "writing":
        monkeypatch.setattr(ONE_STEP, 0.0)
        run(controller, until=lambda: controller._unbroken)
    assert controller.busy
    scene.RemoveNode(nodes.volumes[Modality.FDG])
    run(controller)
    assert controller.state is RunState.FAILED and controller.error_code == "input-gone"
    assert parameter_nodes(scene) == [] and scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
    assert controller.report is None
    left = CaseNodes({m: n for m, n in nodes.volumes.items() if m is not Modality.FDG}, nodes.segmentation)
    assert graded(controller, left).report.inputs == ("ct", "acetate")


@pytest.mark.parametrize("gone", [*ROLES, "parameter node"])
def test_a_result_node_removed_while_it_is_written_fails_with_a_message(controller, nodes, gone, monkeypatch):
    monkeypatch.setattr(ONE_STEP, 0.0)
    scene = controller.scene

    def the_node() -> Any:
        (node,) = parameter_nodes(scene) or (None,)
        return node if node is None or gone == "parameter node" else node.GetNodeReference(gone)

    controller.grade(nodes)
    run(controller, until=lambda: the_node() is not None)
    assert controller.busy and controller._unbroken
    scene.RemoveNode(the_node())
    run(controller)
    assert controller.state is RunState.FAILED and controller.error_code == "result-gone"
    assert controller.error == "A node of the result was removed while the result was written; grade the case again."
    assert parameter_nodes(scene) == [] and controller.report is None and the_node() is None
    assert not any(scene.GetFirstNodeByName(name) for _kind, name in ROLES.values())
    graded(controller, nodes)


@pytest.mark.parametrize("when", ["reading", "computing", "writing", "after"])
def test_closing_the_scene_ends_a_grading_at_any_step(controller, nodes, case, when, monkeypatch):
    start_computing(controller, nodes) if when == "computing" else controller.grade(nodes)
    if when == "writing":
        monkeypatch.setattr(ONE_STEP, 0.0)
        run(controller, until=lambda: controller._unbroken)
    if when == "after":
        run(controller)
    controller.scene.Clear(0)
    assert controller.state is RunState.IDLE and controller.error is None and not controller.busy
    assert controller.report is None and controller.parameter_node is None
    for _ in range(20):
        controller.poll()
    graded(controller, nodes_from_case(controller.scene, case))


def test_grading_works_again_after_a_failure(controller, nodes):
    liver = mask_of(nodes.segmentation, "Liver", nodes.reference)
    erase(nodes.segmentation, "Liver", liver, nodes.reference)
    count = controller.scene.GetNumberOfNodes()
    controller.grade(nodes)
    run(controller)
    assert controller.state is RunState.FAILED and controller.error_code == "no-liver"
    assert controller.error == "The liver segment is empty; draw the liver, or choose the segment that holds it."
    assert controller.scene.GetNumberOfNodes() == count
    paint(nodes.segmentation, "Liver", liver, nodes.reference)
    first = graded(controller, nodes).report
    assert graded(controller, nodes).report.probabilities == first.probabilities


def test_a_rigid_transform_on_all_inputs_changes_nothing(controller, nodes):
    first = graded(controller, nodes).report
    move = linear_transform(controller.scene, rigid((10, -20, 30), (5, 6, -7)))
    for node in nodes.all():
        node.SetAndObserveTransformNodeID(move.GetID())
    assert graded(controller, nodes).report.probabilities == first.probabilities
    assert controller.answer.encoder_calls == 0
    assert outputs_of(controller.parameter_node).regions.GetParentTransformNode() is move


def test_a_pet_moved_by_hand_is_read_where_it_lies(controller, nodes):
    first = graded(controller, nodes).report
    move = linear_transform(controller.scene, rigid((0, 0, 8), (6, 0, 0)))
    nodes.volumes[Modality.FDG].SetAndObserveTransformNodeID(move.GetID())
    controller.regrade()  # detects that an image has moved, and reads the case again
    run(controller)
    assert controller.answer.encoder_calls == 3 and controller.report.probabilities != first.probabilities


@pytest.mark.parametrize("bent", ["CT", "FDG", "segmentation"])
def test_a_bending_transform_is_refused_with_the_reason(controller, nodes, bent):
    node = {"CT": nodes.volumes[Modality.CT], "FDG": nodes.volumes[Modality.FDG]}.get(bent, nodes.segmentation)
    node.SetAndObserveTransformNodeID(bending_transform(controller.scene).GetID())
    controller.grade(nodes)
    run(controller)
    assert controller.state is RunState.FAILED and controller.error_code == "non-linear-transform"
    assert "bends space" in controller.error and "harden" in controller.error and "\n" not in controller.error


def test_a_loaded_scene_shows_its_result_without_grading(controller, nodes, tmp_path):
    report = graded(controller, nodes, case_id="saved").report
    save_scene(controller.scene, tmp_path / "scene.mrb")
    controller.scene.Clear(0)
    assert controller.report is None
    told = []
    controller.result_changed.connect(told.append)
    load_scene(controller.scene, tmp_path / "scene.mrb")
    assert controller.report == report and told[-1] == report and not controller.busy
    assert outputs_of(controller.parameter_node) is not None and not controller.masks_changed()
    controller.what_if(mute=["Lesion 1"])  # the worker has to open the case first
    run(controller)
    assert controller.what_if_answer.report.probabilities != report.probabilities
    controller.regrade()
    run(controller)
    assert controller.report.grade == report.grade and controller.report.case == "saved"
    assert controller.answer.encoder_calls == 0


def test_a_stored_result_keeps_the_task_of_its_model(controller, nodes, case):
    """The model's lesion names are used to recognize the segments when the case is reopened for a what-if."""
    node = parameter_node_for(controller.scene, nodes)
    write_inputs(node, nodes, choose_segments(nodes.segmentation), "stored")
    write_report(node, replace(make_result(case).report, task=KIDNEY))
    assert controller.restore() and controller.report.task == KIDNEY
    assert controller.opened.choice.task == controller.opened.asked.task == KIDNEY


def test_requests_during_other_work_run_after_it(controller, nodes):
    controller.grade(nodes, case_id="first")
    controller.grade(nodes, case_id="second")
    controller.regrade()
    seen = []
    controller.result_changed.connect(lambda report: seen.append(report.case))
    for _ in range(2):
        run(controller)
        controller.poll()
    assert seen == ["first", "first"]  # the last request wins: a new grade of the case on the screen


def test_a_worker_that_ends_is_reported_in_one_sentence_and_restarted(controller, nodes, dispatcher):
    graded(controller, nodes)
    os.kill(dispatcher.client.process_id, signal.SIGKILL)
    controller.regrade()  # the case is lost with the process, so it is read again
    run(controller)
    assert controller.state in (RunState.IDLE, RunState.FAILED)
    if controller.state is RunState.FAILED:  # the job had already been sent
        assert controller.error_code == "worker-died" and controller.error.count(". ") == 0
        controller.regrade()
        run(controller)
    assert controller.state is RunState.IDLE and controller.answer.encoder_calls == 3


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_a_worker_that_ends_between_numbers_and_colors_is_replaced_once(controller, nodes, dispatcher, again, times):
    if again:
        graded(controller, nodes)
    ended = []

    def end(report):
        if report is not None and len(ended) < times and controller.result is None:  # not the former one, put back
            ended.append(dispatcher.client.process_id)
            os.kill(ended[-1], signal.SIGKILL)

    controller.result_changed.connect(end)
    controller.regrade() if again else controller.grade(nodes)
    run(controller)
    assert len(set(ended)) == times
    if times == 1:
        assert controller.state is RunState.IDLE and controller.result is not None and controller.report is not None
    else:
        assert controller.state is RunState.FAILED and controller.error_code in ("worker-died", "case-not-open")


def test_closing_while_grading_leaves_nothing(scene, nodes):
    controller = GradingController(scene)
    count = scene.GetNumberOfNodes()
    start_computing(controller, nodes)
    folder, pid = controller.dispatcher.client.scratch.path, controller.dispatcher.client.process_id
    told = []
    controller.state_changed.connect(told.append)
    controller.close()
    controller.close()
    assert told == [] and scene.GetNumberOfNodes() == count and not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    scene.Clear(0)  # no observer is left


def test_no_poll_takes_long(controller, scene):
    """The caller's own time in one call, on a case of moderate size; the target is 100 ms for a full-size CT."""
    nodes = nodes_from_case(scene, make_case((60, 256, 256), (1.0, 1.0, 2.5)))
    controller.grade(nodes)
    longest = 0.0
    while controller.busy:
        started = time.thread_time()
        controller.poll()
        longest = max(longest, time.thread_time() - started)
        time.sleep(0.003)
    assert controller.state is RunState.IDLE, controller.error
    assert longest < 0.1


def test_a_listener_may_leave_the_case_or_let_events_run(controller, nodes):
    controller.result_changed.connect(lambda _report: controller.poll())  # as processEvents would
    graded(controller, nodes)
    count, left = controller.scene.GetNumberOfNodes(), []

    def leave(report: object) -> None:
        if report is not None and not left:
            left.append(report)
            controller.leave()

    controller.result_changed.connect(leave)
    controller.grade(nodes)
    run(controller)
    assert left and controller.report is None and controller.state is RunState.IDLE
    assert controller.scene.GetNumberOfNodes() == count
    assert graded(controller, nodes).report is not None


def test_exchanged_tracers_are_reported(controller, nodes):
    for modality, factor in ((Modality.FDG, 1.0), (Modality.ACETATE, 4.0)):
        voxels = slicer.util.arrayFromVolume(nodes.volumes[modality])
        middle = tuple(slice(n // 4, -(n // 4)) for n in voxels.shape)
        voxels[middle] *= factor
        nodes.volumes[modality].Modified()
    assert "tracers-maybe-swapped" not in [f.code for f in graded(controller, nodes).report.findings]
    swapped = {**nodes.volumes, Modality.FDG: nodes.volumes[Modality.ACETATE]}
    swapped[Modality.ACETATE] = nodes.volumes[Modality.FDG]
    report = graded(controller, CaseNodes(swapped, nodes.segmentation)).report
    assert "tracers-maybe-swapped" in [f.code for f in report.findings]
    assert controller.report.regions[1].measures.uptake["fdg"].to_liver is not None
