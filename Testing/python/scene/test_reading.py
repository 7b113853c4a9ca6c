"""Reading a list: going through it, correcting masks, marking, and coming back to all of it later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.reading import FIRST, LAST, Reading
from REACTKDLib.scene.segments import SegmentChoice
from support.case_files import write_case
from support.edits import ball, mask_of, paint
from support.reading_steps import go, wait
from support.scene_cases import make_case, make_result

SHAPE, SPACING = (22, 36, 40), (4.4, 4.6, 6.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("files")
    for name in ("a", "b", "c"):
        write_case(make_case(SHAPE, SPACING), root / name)
    (root / "c" / "CT.nii.gz").write_text("no image")
    return root


@pytest.fixture
def listed(files, tmp_path) -> Path:
    shutil.copytree(files, tmp_path / "cases")
    return tmp_path / "cases"


@pytest.fixture
def readings(scene, worker):
    """A function that starts a reading; all are closed at the end. A second one has a process of its own."""
    started = []

    def start(path: Path | None = None) -> Reading:
        reading = Reading(scene, JobDispatcher(None if started else worker))
        started.append(reading)
        if path is not None:
            reading.open_list(path)
        return reading

    yield start
    for reading in started:
        reading.close()


def edit(reading: Reading) -> int:
    """Paint a ball of tumor; return how many voxels the tumor has then."""
    nodes = reading.loader.loaded.nodes
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, (-20.0, 10.0, 50.0), 9.0), nodes.reference)
    return tumor_voxels(reading)


def tumor_voxels(reading: Reading) -> int:
    nodes = reading.loader.loaded.nodes
    return int(mask_of(nodes.segmentation, "Tumor", nodes.reference).sum())


def a_report(case: str):
    return make_result(make_case(SHAPE, SPACING)).report.__class__(
        **{**vars(make_result(make_case(SHAPE, SPACING)).report), "case": case}
    )


def test_going_through_a_list(readings, scene, listed):
    reading = readings(listed)
    assert [(n, case.id, record.state) for n, case, record in reading.rows()] == [
        (0, "a", "to do"), (1, "b", "to do"), (2, "c", "to do"),
    ]  # fmt: skip
    opened = []
    reading.opened.connect(lambda: opened.append(reading.index))
    reading.go_on(1)
    wait(reading)
    assert reading.current.id == "a" and reading.loader.present and reading.message == ""
    reading.go_on(-1)
    assert reading.message == FIRST and reading.current.id == "a"
    reading.go_on(1)
    wait(reading)
    assert reading.current.id == "b" and scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    reading.go_on(1)
    wait(reading)
    assert reading.current.id == "c" and not reading.loader.present
    assert "'c' cannot be opened" in reading.message and "CT" in reading.message
    assert reading.review.of("c").failure["code"] == "not-an-image"
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    reading.go_on(1)
    assert reading.message == LAST and reading.current.id == "c"
    reading.go_on(-1)
    wait(reading)
    assert reading.current.id == "b" and opened == [0, 1, 2, 1]


def test_answers_and_marks_are_kept(readings, listed):
    reading = readings(listed)
    go(reading, 0)
    reading.record(a_report("a"))
    at = reading.review.of("a").answer["at"]
    reading.record(a_report("a"))
    assert reading.review.of("a").answer["at"] == at
    reading.set_reader_grade("a", "well")
    reading.set_reviewed("a", True)
    reading.set_reader_grade("b", "poor")
    reading.close()
    again = readings(listed)
    a, b = again.review.of("a"), again.review.of("b")
    assert (a.state, a.answer["grade"], a.reader_grade) == ("reviewed", "poor", "well")
    assert (b.state, b.reader_grade) == ("to do", "poor")
    again.set_reader_grade("a", None)
    again.set_reviewed("a", False)
    assert readings(listed).review.of("a").state == "graded"


def test_an_edited_case_is_saved_when_it_is_left_and_found_when_it_is_opened(readings, listed):
    before = {path: path.read_bytes() for path in listed.rglob("*.seg.nrrd")}
    reading = readings(listed)
    go(reading, 0)
    original = tumor_voxels(reading)
    reading.record(a_report("a"))
    voxels = edit(reading)
    assert voxels > original
    go(reading, 1)
    assert reading.current.id == "b" and tumor_voxels(reading) == original
    told = reading.review.of("a").masks
    assert told["file"] == "review.reactkd.masks/a.seg.nrrd" and reading.review.of("a").answer["outdated"]
    go(reading, 0)
    assert tumor_voxels(reading) == voxels and not reading.loader.edited
    reading.record(a_report("a"))
    assert not reading.review.of("a").answer["outdated"]
    reading.close()
    again = readings(listed)
    go(again, 0)
    assert tumor_voxels(again) == voxels
    assert {path: path.read_bytes() for path in before} == before
    # and when the review is lost
    again.close()
    (listed / "review.reactkd.json").unlink()
    lost = readings(listed)
    go(lost, 0)
    assert tumor_voxels(lost) == voxels


def test_a_grade_of_the_corrected_masks_is_not_outdated(readings, listed):
    reading = readings(listed)
    go(reading, 0)
    edit(reading)
    reading.record(a_report("a"))
    go(reading, 1)
    assert reading.review.of("a").masks is not None and not reading.review.of("a").answer["outdated"]


def test_masks_that_cannot_be_saved_are_asked_about(readings, listed):
    reading = readings(listed)
    go(reading, 0)
    voxels = edit(reading)
    (listed / "review.reactkd.masks").touch()  # a file where the folder would be
    reading.go_to(1)
    wait(reading)
    assert "could not be saved" in reading.question.text and reading.busy
    reading.go_to(1)
    reading.go_on(1)
    reading.open_list(listed)
    assert reading.current.id == "a" and tumor_voxels(reading) == voxels
    reading.answer(leave=False)
    assert reading.question is None and reading.current.id == "a" and tumor_voxels(reading) == voxels
    (listed / "review.reactkd.masks").unlink()
    go(reading, 1)
    assert reading.current.id == "b" and reading.review.of("a").masks is not None
    go(reading, 0)
    edit(reading)
    nodes = reading.loader.loaded.nodes
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, (-60.0, 10.0, 50.0), 9.0), nodes.reference)
    shutil.rmtree(listed / "review.reactkd.masks")
    (listed / "review.reactkd.masks").touch()
    reading.go_to(1)
    wait(reading)
    reading.answer(leave=True)
    wait(reading)
    assert reading.current.id == "b"


def test_the_scene_closes_with_edits(readings, scene, listed):
    reading = readings(listed)
    go(reading, 0)
    voxels = edit(reading)
    reading.before_scene_closes()
    scene.Clear(0)
    assert reading.current is None and reading.cases is not None and not reading.loader.present
    assert reading.review.of("a").masks is not None
    go(reading, 0)
    assert tumor_voxels(reading) == voxels


def test_closed_with_edits(readings, listed):
    reading = readings(listed)
    go(reading, 0)
    voxels = edit(reading)
    reading.close()
    reading.close()
    again = readings(listed)
    go(again, 0)
    assert tumor_voxels(again) == voxels


def test_another_list_while_edits_are_open(readings, listed, files, tmp_path):
    reading = readings(listed)
    go(reading, 0)
    edit(reading)
    other = tmp_path / "other"
    write_case(make_case(SHAPE, SPACING), other / "x")
    reading.open_list(other)
    wait(reading)
    assert [case.id for _, case, _ in reading.rows()] == ["x"] and reading.index is None
    assert (listed / "review.reactkd.masks" / "a.seg.nrrd").is_file()
    reading.open_list(tmp_path / "nowhere.csv")
    assert "no worklist" in reading.message and reading.cases is not None
    reading.close_list()
    assert reading.cases is None and reading.rows() == []


def test_to_do_only(readings, listed):
    reading = readings(listed)
    reading.set_reviewed("b", True)
    reading.todo_only = True
    assert [case.id for _, case, _ in reading.rows()] == ["a", "c"]
    go(reading, 0)
    reading.go_on(1)
    wait(reading)
    assert reading.current.id == "c"
    go(reading, 0)
    reading.set_reviewed("a", True)
    assert [case.id for _, case, _ in reading.rows()] == ["a", "c"], "the case at hand does not vanish"


def test_segments_chosen_by_hand_come_back(readings, listed):
    reading = readings(listed)
    go(reading, 0)
    nodes = reading.loader.loaded.nodes
    data = nodes.segmentation.GetSegmentation()
    data.AddEmptySegment("Strange", "Strange", (1, 0, 0))
    paint(nodes.segmentation, "Strange", ball(nodes.reference, (-20.0, 10.0, 50.0), 12.0), nodes.reference)
    liver = data.GetSegmentIdBySegmentName("Liver")
    reading.chosen = SegmentChoice((liver,), ("Strange",))
    go(reading, 1)
    assert reading.review.of("a").masks["tumor"] == ["Strange"]
    files = reading.files_of(reading.cases.cases[0])
    assert (files.liver, files.tumor) == (("Liver",), ("Strange",))
    go(reading, 0)
    again = reading.loader.loaded
    names = [again.nodes.segmentation.GetSegmentation().GetSegment(i).GetName() for i in again.choice.tumors]
    assert names == ["Strange"]


def test_corrected_masks_that_are_gone_are_said(readings, listed):
    reading = readings(listed)
    go(reading, 0)
    edit(reading)
    go(reading, 1)
    (listed / "review.reactkd.masks" / "a.seg.nrrd").unlink()
    go(reading, 0)
    assert "not where they were saved" in reading.message


def test_two_windows(readings, listed):
    first, second = readings(listed), readings(listed)
    first.set_reader_grade("a", "well")
    changed = []
    second.changed.connect(lambda: changed.append(1))
    second.look_around()
    assert second.review.of("a").reader_grade == "well" and "Another window" in second.message and changed
    second.set_reader_grade("b", "poor")
    first.look_around()
    assert first.review.of("b").reader_grade == "poor"


def test_two_windows_correct_the_same_masks(readings, scene, listed):
    first, second = readings(listed), readings(listed)
    go(first, 0)
    voxels = edit(first)
    go(second, 0)
    nodes = second.loader.loaded.nodes
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, (-60.0, 10.0, 50.0), 9.0), nodes.reference)
    others = tumor_voxels(second)
    go(first, 1)
    go(second, 1)
    folder = listed / "review.reactkd.masks"
    assert sorted(path.name for path in folder.iterdir()) == ["a-2.seg.nrrd", "a.seg.nrrd"]
    assert any("corrected masks of case 'a'" in message for message in (second.message,))
    told = json.loads((listed / "review.reactkd.json").read_text(encoding="utf-8"))["cases"]["a"]
    assert told["masks"]["file"].endswith("a-2.seg.nrrd")
    assert [entry["value"]["file"] for entry in told["superseded"]] == ["review.reactkd.masks/a.seg.nrrd"]
    go(second, 0)
    assert tumor_voxels(second) == others != voxels


def test_a_second_edit_goes_over_the_first(readings, listed):
    reading = readings(listed)
    for _ in range(2):
        go(reading, 0)
        edit(reading)
        go(reading, 1)
    assert len(list((listed / "review.reactkd.masks").iterdir())) == 1


def test_a_node_that_the_user_removed_is_no_edit(readings, scene, listed):
    reading = readings(listed)
    go(reading, 0)
    scene.RemoveNode(reading.loader.loaded.nodes.volumes[Modality.CT])
    reading.record(a_report("a"))
    assert reading.review.of("a").answer is None
    go(reading, 0)
    assert reading.loader.present


def test_names_stay_out_of_the_review(readings, listed):
    reading = readings(listed)
    go(reading, 0)
    reading.record(a_report("a"))
    edit(reading)
    go(reading, 2)
    text = (listed / "review.reactkd.json").read_text(encoding="utf-8")
    assert str(listed) not in text and "cases" in json.loads(text) and listed.name + "/" not in text
