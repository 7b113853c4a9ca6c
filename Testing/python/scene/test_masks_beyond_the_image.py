"""Masks drawn on a larger image than the graded one: the part outside the image is reported, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.masks.left_out import LEFT_OUT
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case import CaseNodes, read_case
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.script_runner import RunState
from REACTKDLib.scene.segments import choose_segments
from REACTKDLib.scene.volumes import node_from_volume
from support.edits import erase
from support.scene_cases import make_case
from support.script_runs import run
from support.worker_runs import save_small_model

CASE = make_case()
PLACE = CASE.reference.ijk_to_ras
#: first CT slice that is kept, from below; and whether liver and tumor are reported
CUTS = {
    "all there": (0, False, False),
    "a part of the liver outside": (int(np.argwhere(CASE.liver)[:, 0].min()) + 2, True, False),
    "a part of a lesion outside too": (int(np.argwhere(CASE.tumor)[:, 0].min()) + 3, True, True),
}


@pytest.fixture(scope="module")
def controller_of(tmp_path_factory):
    """Makes a controller for a scene, with a worker that is kept."""
    model, dispatcher, made = save_small_model(tmp_path_factory.mktemp("model")), JobDispatcher(), []

    def make(scene) -> GradingController:
        made.append(GradingController(scene, dispatcher, model))
        return made[-1]

    yield make
    for controller in made:
        controller.close()
    dispatcher.close()


def cut_ct(start: int) -> Volume:
    """The case's CT from slice `start` upwards."""
    depth, *rest = CASE.reference.shape
    part = Grid(CASE.reference.shape, PLACE).part((slice(start, depth), *(slice(0, n) for n in rest)))
    return Volume(np.ascontiguousarray(CASE.reference.array[start:]), part.ijk_to_ras, Unit.HU, "CT")


def on_a_cut_ct(scene, nodes: CaseNodes, start: int) -> CaseNodes:
    return CaseNodes({Modality.CT: node_from_volume(scene, cut_ct(start), "cut")}, nodes.segmentation)


def told(findings) -> list[str]:
    return [finding.message for finding in findings if finding.code == LEFT_OUT]


def graded(controller: GradingController, nodes: CaseNodes) -> GradingController:
    controller.grade(nodes)
    run(controller)
    return controller


@pytest.mark.parametrize("start, liver, tumor", CUTS.values(), ids=CUTS)
def test_files_scripts_and_panel_report_the_same_findings(scene, nodes, controller_of, tmp_path, start, liver, tumor):
    """Files, the console and the panel report the same sentences, with the same fractions."""
    cut = on_a_cut_ct(scene, nodes, start)
    expected = told(read_case(cut, choose_segments(cut.segmentation)).findings)
    assert [("liver mask" in text, "tumor mask" in text) for text in expected] == [(True, False)] * liver + [
        (False, True)
    ] * tumor
    if liver:
        share = 100 * CASE.liver[start:].sum() / CASE.liver.sum()
        assert f"Only {min(99, round(share))} % of the liver mask" in expected[0]
    controller = graded(controller_of(scene), cut)
    assert controller.state is RunState.IDLE, controller.error
    assert told(controller.report.findings) == expected
    masks = [("Liver", "liver", CASE.liver), ("Tumor", "tumor", CASE.tumor)]
    write_volume(cut_ct(start), tmp_path / "ct.nii.gz")
    by_files = open_case(
        tmp_path / "ct.nii.gz", segmentation=write_segmentation(masks, PLACE, tmp_path / "masks.seg.nrrd")
    )
    assert told(by_files.findings) == expected


def test_an_edit_updates_the_finding(scene, nodes, controller_of):
    start, *_ = CUTS["a part of a lesion outside too"]
    cut, whole = on_a_cut_ct(scene, nodes, start), nodes.reference
    controller = graded(controller_of(scene), cut)
    assert len(told(controller.report.findings)) == 2
    below = np.zeros(CASE.reference.shape, dtype=bool)
    below[:start] = True
    erase(nodes.segmentation, "Tumor", below, whole)
    controller.regrade()
    run(controller)
    text = told(controller.report.findings)
    assert len(text) == 1 and "liver mask" in text[0] and controller.answer.encoder_calls == 0
    erase(nodes.segmentation, "Liver", below, whole)
    controller.regrade()
    run(controller)
    assert told(controller.report.findings) == []


def test_lesions_of_which_none_lies_in_the_image_are_refused(scene, nodes, controller_of):
    """It would be graded as a liver without lesions."""
    top = int(np.argwhere(CASE.tumor)[:, 0].max()) + 2
    cut = on_a_cut_ct(scene, nodes, top)
    assert CASE.liver[top:].any()
    controller = graded(controller_of(scene), cut)
    assert controller.state is RunState.FAILED
    assert "The tumor mask does not overlap the image" in controller.error
