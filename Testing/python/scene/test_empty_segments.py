"""A segment without a voxel beside drawn ones: files, scripts and panel name it, and an edit updates the finding."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.files.segmentation_writer import write_segments
from REACTKDLib.core.files.segments import PlacedMask
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case import CaseNodes, read_case
from REACTKDLib.scene.graded_inputs import changes_since, recorded_content
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.mask_check import MaskChecker
from REACTKDLib.scene.script_runner import RunState
from REACTKDLib.scene.segments import choose_segments
from REACTKDLib.scene.volumes import node_from_volume
from support.edits import ball, erase, paint
from support.scene_cases import make_case
from support.scene_files import load_segmentation
from support.script_runs import run
from support.worker_runs import save_small_model

CASE = make_case()
PLACE = CASE.reference.ijk_to_ras
NOTHING = np.zeros_like(CASE.liver)
FIRST = np.arange(CASE.liver.shape[2]) < 40
LEFT, RIGHT = CASE.liver & FIRST, CASE.liver & ~FIRST
#: segments -> what is said about the empty ones
CASES = {
    "one empty tumor": (
        {"Liver": CASE.liver, "Tumor 1": CASE.tumor, "Tumor 2": NOTHING},
        ["The tumor segment 'Tumor 2' is empty; draw it, or leave it out if there is no such tumor."],
    ),
    "two empty tumors": (
        {"Liver": CASE.liver, "Tumor 1": NOTHING, "Tumor 2": CASE.tumor, "Tumor 3": NOTHING},
        [
            "The tumor segments 'Tumor 1', 'Tumor 3' are empty; draw them, or leave them out if there are no such "
            "tumors."
        ],
    ),
    "nothing empty": ({"Liver": CASE.liver, "Tumor 1": CASE.tumor}, []),
    "no tumor at all": ({"Liver": CASE.liver, "Tumor 1": NOTHING, "Tumor 2": NOTHING}, []),
    "an empty lobe": (
        {
            "Left lobe of liver": LEFT,
            "Right lobe of liver": RIGHT,
            "Caudate lobe of liver": NOTHING,
            "Tumor": CASE.tumor,
        },
        [
            "The liver was combined from the segments 'Left lobe of liver', 'Right lobe of liver', "
            "'Caudate lobe of liver'.",
            "These parts of the liver are empty: 'Caudate lobe of liver'; draw them, unless they were resected.",
        ],
    ),
}
CODES = ("liver-of-parts", "liver-part-empty", "lesion-segment-empty")


@pytest.fixture(scope="module")
def dispatcher_of_model(tmp_path_factory):
    model, dispatcher = save_small_model(tmp_path_factory.mktemp("model")), JobDispatcher()
    yield dispatcher, model
    dispatcher.close()


@pytest.fixture
def controller(scene, dispatcher_of_model):
    made = GradingController(scene, *dispatcher_of_model)
    yield made
    made.close()


def write(segments, path):
    return write_segments([PlacedMask(name, mask, PLACE, (0.5, 0.5, 0.5)) for name, mask in segments.items()], path)


def in_scene(scene, segments, path) -> CaseNodes:
    write(segments, path)
    volumes = {m: node_from_volume(scene, volume, m.value) for m, volume in CASE.volumes.items()}
    return CaseNodes(volumes, load_segmentation(scene, path, "Segmentation"))


def told(findings) -> list[str]:
    return [str(finding.message) for finding in findings if finding.code in CODES]


@pytest.mark.parametrize("segments, expected", CASES.values(), ids=CASES)
def test_files_scripts_and_panel_name_the_empty_segments(
    scene, controller, dispatcher_of_model, tmp_path, segments, expected
):
    """Whoever forgot to draw a lesion must read it, wherever the case is graded."""
    path = tmp_path / "masks.seg.nrrd"
    nodes = in_scene(scene, segments, path)
    choice = choose_segments(nodes.segmentation)
    assert told(read_case(nodes, choice).findings) == expected
    checker = MaskChecker(scene, dispatcher_of_model[0])
    checker.check(nodes, choice)
    run(checker)
    assert told(checker.findings) == expected
    checker.close()
    controller.grade(nodes)
    run(controller)
    assert controller.state is RunState.IDLE, controller.error
    assert told(controller.report.findings) == expected
    no_lesion = any(finding.code == "no-lesion" for finding in controller.report.findings)
    assert no_lesion == (controller.report.grade is None) == (not any(m is CASE.tumor for m in segments.values()))
    write_volume(CASE.reference, tmp_path / "ct.nii.gz")
    assert told(open_case(tmp_path / "ct.nii.gz", segmentation=path).findings) == expected


def test_an_edit_updates_the_finding(scene, controller, tmp_path):
    segments, expected = CASES["one empty tumor"]
    nodes = in_scene(scene, segments, tmp_path / "masks.seg.nrrd")
    controller.grade(nodes)
    run(controller)
    assert told(controller.report.findings) == expected
    place = ball(nodes.reference, (-10.0, 0.0, 30.0), 8.0) & CASE.liver & ~CASE.tumor
    paint(nodes.segmentation, "Tumor 2", place, nodes.reference)
    controller.regrade()
    run(controller)
    assert told(controller.report.findings) == [] and controller.answer.encoder_calls == 0
    erase(nodes.segmentation, "Tumor 2", place, nodes.reference)
    controller.regrade()
    run(controller)
    assert told(controller.report.findings) == expected


def test_an_empty_segment_is_no_change_of_the_masks(scene, controller, tmp_path):
    """It is handed over without voxels, and the recorded inputs leave it out, as those of earlier scenes do."""
    nodes = in_scene(scene, CASES["one empty tumor"][0], tmp_path / "masks.seg.nrrd")
    controller.grade(nodes)
    run(controller)
    content, choice = recorded_content(controller.parameter_node), choose_segments(nodes.segmentation)
    masks = [words for words, _place in content if not words.startswith("image")]
    assert len(masks) == 2 and masks[1].startswith(f"tumor {choice.tumors[0]} ")
    assert changes_since(content, nodes, choice) == (False, False) and not controller.opened.masks_changed


def test_segments_with_surfaces_only_are_not_empty(scene, tmp_path):
    """Their voxels are on a converted copy."""
    segments, expected = CASES["an empty lobe"]
    nodes = in_scene(scene, segments, tmp_path / "masks.seg.nrrd")
    data = nodes.segmentation.GetSegmentation()
    assert data.CreateRepresentation("Closed surface")
    data.SetSourceRepresentationName("Closed surface")
    data.RemoveRepresentation("Binary labelmap")
    assert not data.ContainsRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName())
    assert told(read_case(nodes, choose_segments(nodes.segmentation)).findings) == expected
