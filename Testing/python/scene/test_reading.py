"""Reading a list: stepping through it, correcting masks, marking cases, and resuming all of it later."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import slicer

from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.reading import FIRST, LAST, LAST_SAVED
from REACTKDLib.scene.segments import SegmentChoice
from REACTKDLib.scene.units import write_unit
from support.edits import ball, paint
from support.reading_steps import a_report, edit, go, tumor, wait, write_cases
from support.worlds import linear_transform, rigid


@pytest.fixture
def listed(listed) -> Path:
    """Three small cases; the last one cannot be opened."""
    (listed / "c" / "CT.nii.gz").write_text("no image")
    return listed


def test_a_list_is_stepped_through(start, scene, listed):
    reading = start(listed)
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


def test_answers_and_marks_are_kept(start, listed):
    reading = start(listed)
    go(reading, 0)
    reading.record(a_report("a"))
    at = reading.review.of("a").answer["at"]
    reading.record(a_report("a"))
    assert reading.review.of("a").answer["at"] == at
    reading.set_reader_grade("a", "well")
    reading.set_reviewed("a", True)
    reading.set_reader_grade("b", "poor")
    reading.close()
    again = start(listed)
    a, b = again.review.of("a"), again.review.of("b")
    assert (a.state, a.answer["grade"], a.reader_grade) == ("reviewed", "poor", "well")
    assert (b.state, b.reader_grade) == ("to do", "poor")
    again.set_reader_grade("a", None)
    again.set_reviewed("a", False)
    assert start(listed).review.of("a").state == "graded"


def test_an_edited_case_is_saved_when_it_is_left_and_found_when_it_is_opened(start, listed):
    before = {path: path.read_bytes() for path in listed.rglob("*.seg.nrrd")}
    reading = start(listed)
    go(reading, 0)
    original = tumor(reading).sum()
    reading.record(a_report("a"))
    voxels = edit(reading)
    assert voxels > original
    go(reading, 1)
    assert reading.current.id == "b" and tumor(reading).sum() == original
    told = reading.review.of("a").masks
    assert told["file"] == "review.reactkd.masks/a.seg.nrrd" and reading.review.of("a").answer["outdated"]
    go(reading, 0)
    assert tumor(reading).sum() == voxels and not reading.loader.edited
    reading.record(a_report("a"))
    assert not reading.review.of("a").answer["outdated"]
    reading.close()
    again = start(listed)
    go(again, 0)
    assert tumor(again).sum() == voxels
    assert {path: path.read_bytes() for path in before} == before
    # also when the review file is lost
    again.close()
    (listed / "review.reactkd.json").unlink()
    lost = start(listed)
    go(lost, 0)
    assert tumor(lost).sum() == voxels


def test_a_grade_of_the_corrected_masks_is_not_outdated(start, listed):
    reading = start(listed)
    go(reading, 0)
    edit(reading)
    reading.record(a_report("a"))
    go(reading, 1)
    assert reading.review.of("a").masks is not None and not reading.review.of("a").answer["outdated"]


@pytest.mark.parametrize("change", ["voxels", "unit", "image moved", "masks moved"])
def test_a_result_of_other_images_is_not_recorded(start, scene, listed, change):
    """The next time the case opens from its files, to which this answer does not belong."""
    reading = start(listed)
    go(reading, 0)
    assert reading.record(a_report("a"))
    before, nodes = reading.review.of("a").answer, reading.loader.loaded.nodes
    pet = nodes.volumes[Modality.FDG]
    if change == "voxels":
        slicer.util.arrayFromVolume(pet)[:] *= 2
        slicer.util.arrayFromVolumeModified(pet)
    elif change == "unit":
        write_unit(pet, Unit.BQML)
    else:
        moved = linear_transform(scene, rigid((0, 0, 0), (0, 0, 10)))
        (pet if change == "image moved" else nodes.segmentation).SetAndObserveTransformNodeID(moved.GetID())
    assert not reading.record(replace(a_report("a"), grade="well"))
    assert reading.review.of("a").answer == before
    go(reading, 1)
    assert reading.record(a_report("b"))
    go(reading, 0)
    assert reading.record(replace(a_report("a"), grade="well")) and reading.review.of("a").answer["grade"] == "well"


def test_a_case_that_was_moved_as_a_whole_keeps_its_answer(start, scene, listed):
    reading = start(listed)
    go(reading, 0)
    moved = linear_transform(scene, rigid((0, 0, 8), (0, 0, 10)))
    for node in reading.loader.loaded.nodes.all():
        node.SetAndObserveTransformNodeID(moved.GetID())
    assert reading.record(a_report("a")) and reading.review.of("a").answer["grade"] == "poor"


def test_masks_that_cannot_be_saved_raise_a_question(start, listed):
    reading = start(listed)
    go(reading, 0)
    voxels = edit(reading)
    (listed / "review.reactkd.masks").touch()  # a file where the folder should be
    reading.go_to(1)
    wait(reading)
    assert "could not be saved" in reading.question.text and reading.busy
    reading.go_to(1)
    reading.go_on(1)
    reading.open_list(listed)
    assert reading.current.id == "a" and tumor(reading).sum() == voxels
    reading.answer(leave=False)
    assert reading.question is None and reading.current.id == "a" and tumor(reading).sum() == voxels
    (listed / "review.reactkd.masks").unlink()
    go(reading, 1)
    assert reading.current.id == "b" and reading.review.of("a").masks is not None
    go(reading, 0)
    edit(reading)
    edit(reading, (-60.0, 10.0, 50.0))
    shutil.rmtree(listed / "review.reactkd.masks")
    (listed / "review.reactkd.masks").touch()
    reading.go_to(1)
    wait(reading)
    reading.answer(leave=True)
    wait(reading)
    assert reading.current.id == "b"


def test_closing_the_scene_saves_edits(start, scene, listed):
    reading = start(listed)
    go(reading, 0)
    voxels = edit(reading)
    reading.before_scene_closes()
    scene.Clear(0)
    assert reading.current is None and reading.cases is not None and not reading.loader.present
    assert reading.review.of("a").masks is not None
    go(reading, 0)
    assert tumor(reading).sum() == voxels


@pytest.mark.parametrize("end", ["scene", "program"])
def test_edits_that_cannot_be_saved_at_the_end_are_rescued_elsewhere(
    start, scene, listed, tmp_path, monkeypatch, caplog, end
):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    reading = start(listed)
    go(reading, 0)
    voxels = edit(reading)
    (listed / "review.reactkd.masks").touch()  # a file where the folder should be
    reading.before_scene_closes() if end == "scene" else reading.close()
    (kept,) = (tmp_path / "temporary").rglob("a.seg.nrrd")
    assert "'a' could not be saved" in reading.message and f"They are kept as {kept};" in reading.message
    assert "choose a folder" not in reading.message and reading.message in caplog.messages
    if os.name == "posix":
        assert kept.parent.stat().st_mode & 0o777 == 0o700, "other users must not be able to read it"
    # As the message says: once moved to the folder of corrected masks, the file is found.
    scene.Clear(0)
    (listed / "review.reactkd.masks").unlink()
    (listed / "review.reactkd.masks").mkdir()
    shutil.move(kept, listed / "review.reactkd.masks")
    again = start(listed)
    go(again, 0)
    assert tumor(again).sum() == voxels


def test_the_place_of_rescued_masks_is_shown_until_the_list_is_closed(start, listed, tmp_path, monkeypatch):
    """The user cannot be asked while the scene closes, and a user who moves on has not read the message yet."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    reading = start(listed)
    blocked = listed / "review.reactkd.masks"
    blocked.touch()
    kept = []
    for index in (0, 1):
        go(reading, index)
        edit(reading)
        reading.before_scene_closes()
        reading.loader.scene.Clear(0)
        kept = sorted((tmp_path / "temporary").rglob("*.seg.nrrd"))
        assert len(kept) == index + 1 and all(str(path) in reading.message for path in kept)
    go(reading, 2)
    reading.set_reader_grade("c", "poor")
    reading.set_reviewed("c", True)
    reading.go_on(1)
    wait(reading)
    assert LAST in reading.message and all(reading.message.count(str(path)) == 1 for path in kept)
    blocked.unlink()
    reading.close_list()
    assert reading.message == ""


def test_a_failed_rescue_is_reported(start, listed, tmp_path, monkeypatch):
    reading = start(listed)
    go(reading, 0)
    edit(reading)
    (listed / "review.reactkd.masks").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    reading.before_scene_closes()
    assert "could not be saved" in reading.message and "Nor could they be kept" in reading.message


def until_the_worker_has_it(reading):
    """Run the loader until it waits for its worker: later edits are not in the data sent to the worker."""
    end = time.monotonic() + 60
    while reading.loader._ticket is None:
        assert reading.loader.busy and time.monotonic() < end
        reading.loader.work()


def test_edits_made_while_the_case_is_saved_are_saved_too(start, listed):
    reading = start(listed)
    go(reading, 0)
    edit(reading)
    reading.go_to(1)
    until_the_worker_has_it(reading)
    voxels = edit(reading, (-60.0, 10.0, 50.0))
    wait(reading)
    assert reading.current.id == "b"
    go(reading, 0)
    assert tumor(reading).sum() == voxels


@pytest.mark.parametrize("index", [1, 2])
def test_edits_made_while_the_next_case_is_read_are_saved_even_if_it_cannot_be_opened(start, listed, index):
    reading = start(listed)
    go(reading, 0)
    reading.loader.stop()  # otherwise a case read ahead would be available at once
    reading.go_to(index)
    until_the_worker_has_it(reading)
    voxels = edit(reading)
    wait(reading)
    assert reading.index == index and ("cannot be opened" in reading.message) == (index == 2)
    go(reading, 0)
    assert tumor(reading).sum() == voxels


def test_edits_made_while_a_corrected_case_is_read_keep_their_own_masks(start, scene, listed):
    reading = start(listed)
    go(reading, 1)
    corrected = edit(reading, (-60.0, 10.0, 50.0))
    go(reading, 0)
    reading.loader.stop()
    reading.go_to(1)
    until_the_worker_has_it(reading)
    voxels = edit(reading)
    reading.before_scene_closes()
    scene.Clear(0)
    go(reading, 1)
    assert tumor(reading).sum() == corrected
    go(reading, 0)
    assert tumor(reading).sum() == voxels != corrected


def test_discarded_edits_raise_no_second_question(start, listed):
    reading = start(listed)
    go(reading, 0)
    edit(reading)
    (listed / "review.reactkd.masks").touch()  # a file where the folder should be
    reading.go_to(1)
    wait(reading)
    reading.loader.stop()
    reading.answer(leave=True)
    until_the_worker_has_it(reading)
    edit(reading, (-60.0, 10.0, 50.0))
    wait(reading)
    assert reading.question is not None and reading.current.id == "a", "edits made during the save must be asked about"
    reading.answer(leave=True)
    wait(reading)
    assert reading.question is None and reading.current.id == "b"


@pytest.fixture
def at_the_end(start, listed):
    """A list of two cases, with the last one open."""
    shutil.rmtree(listed / "c")
    reading = start(listed)
    go(reading, 1)
    return reading


def test_edits_of_the_last_case_are_saved_when_there_is_no_next_one(at_the_end, start, listed):
    reading = at_the_end
    reading.go_on(1)
    wait(reading)
    assert reading.message == LAST and reading.review.of("b").masks is None, "nothing was drawn, nothing is saved"
    voxels = edit(reading)
    reading.go_on(1)
    wait(reading)
    assert reading.message == LAST_SAVED and reading.current.id == "b" and not reading.loader.edited
    assert (listed / "review.reactkd.masks" / "b.seg.nrrd").is_file()
    reading.go_on(1)
    wait(reading)
    assert reading.message == LAST, "the message must appear once"
    again = start(listed)
    go(again, 1)
    assert tumor(again).sum() == voxels


def test_a_finished_case_that_stays_open_is_saved(at_the_end, listed):
    reading = at_the_end
    edit(reading)
    reading.set_reviewed("b", True)
    reading.keep()
    wait(reading)
    assert (listed / "review.reactkd.masks" / "b.seg.nrrd").is_file() and reading.message == ""
    assert not reading.loader.edited and reading.review.of("b").masks is not None


def test_stepping_during_a_save_continues_after_the_save(at_the_end, listed):
    """A key pressed right after the mark used to be lost while the masks were being saved."""
    reading = at_the_end
    edit(reading)
    reading.keep()
    assert reading.busy
    reading.go_on(-1)
    wait(reading)
    assert reading.current.id == "a" and (listed / "review.reactkd.masks" / "b.seg.nrrd").is_file()
    reading.keep()
    wait(reading)
    assert reading.current.id == "a", "a stored request must be used once"


def test_masks_of_a_case_that_stays_open_raise_a_message_and_no_question(at_the_end, listed):
    reading = at_the_end
    voxels = edit(reading)
    (listed / "review.reactkd.masks").touch()  # a file where the folder should be
    reading.go_on(1)
    wait(reading)
    assert reading.question is None and reading.current.id == "b" and tumor(reading).sum() == voxels
    assert "'b' could not be saved" in reading.message and "With Report > Masks... they can" in reading.message
    assert "last case" not in reading.message and "choose a folder" not in reading.message


def test_closing_the_list_saves_edits(start, listed):
    reading = start(listed)
    go(reading, 0)
    voxels = edit(reading)
    reading.close()
    reading.close()
    again = start(listed)
    go(again, 0)
    assert tumor(again).sum() == voxels


def test_opening_another_list_saves_edits(start, listed, tmp_path):
    reading = start(listed)
    go(reading, 0)
    edit(reading)
    other = tmp_path / "other"
    write_cases(other, "x")
    reading.open_list(other)
    wait(reading)
    assert [case.id for _, case, _ in reading.rows()] == ["x"] and reading.index is None
    assert (listed / "review.reactkd.masks" / "a.seg.nrrd").is_file()
    reading.open_list(tmp_path / "nowhere.csv")
    assert "no worklist" in reading.message and reading.cases is not None
    reading.close_list()
    assert reading.cases is None and reading.rows() == []


def test_only_cases_to_do_are_listed_on_request(start, listed):
    reading = start(listed)
    reading.set_reviewed("b", True)
    reading.todo_only = True
    assert [case.id for _, case, _ in reading.rows()] == ["a", "c"]
    go(reading, 0)
    reading.go_on(1)
    wait(reading)
    assert reading.current.id == "c"
    go(reading, 0)
    reading.set_reviewed("a", True)
    assert [case.id for _, case, _ in reading.rows()] == ["a", "c"], "the open case must stay listed"


def test_manually_chosen_segments_are_restored(start, listed):
    reading = start(listed)
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


def test_missing_corrected_masks_are_reported(start, listed):
    reading = start(listed)
    go(reading, 0)
    edit(reading)
    go(reading, 1)
    (listed / "review.reactkd.masks" / "a.seg.nrrd").unlink()
    go(reading, 0)
    assert "not where they were saved" in reading.message


def test_two_windows_see_each_others_marks(start, listed):
    first, second = start(listed), start(listed)
    first.set_reader_grade("a", "well")
    changed = []
    second.changed.connect(lambda: changed.append(1))
    second.look_around()
    assert second.review.of("a").reader_grade == "well" and "Another window" in second.message and changed
    second.set_reader_grade("b", "poor")
    first.look_around()
    assert first.review.of("b").reader_grade == "poor"


def test_two_windows_that_correct_the_same_masks_keep_both(start, scene, listed):
    first, second = start(listed), start(listed)
    go(first, 0)
    voxels = edit(first)
    go(second, 0)
    others = edit(second, (-60.0, 10.0, 50.0))
    go(first, 1)
    go(second, 1)
    folder = listed / "review.reactkd.masks"
    assert sorted(path.name for path in folder.iterdir()) == ["a-2.seg.nrrd", "a.seg.nrrd"]
    assert any("corrected masks of case 'a'" in message for message in (second.message,))
    told = json.loads((listed / "review.reactkd.json").read_text(encoding="utf-8"))["cases"]["a"]
    assert told["masks"]["file"].endswith("a-2.seg.nrrd")
    assert [entry["value"]["file"] for entry in told["superseded"]] == ["review.reactkd.masks/a.seg.nrrd"]
    go(second, 0)
    assert tumor(second).sum() == others != voxels


def test_a_second_edit_replaces_the_first(start, listed):
    reading = start(listed)
    for _ in range(2):
        go(reading, 0)
        edit(reading)
        go(reading, 1)
    assert len(list((listed / "review.reactkd.masks").iterdir())) == 1


def test_a_removed_node_is_not_an_edit(start, scene, listed):
    reading = start(listed)
    go(reading, 0)
    scene.RemoveNode(reading.loader.loaded.nodes.volumes[Modality.CT])
    reading.record(a_report("a"))
    assert reading.review.of("a").answer is None
    go(reading, 0)
    assert reading.loader.present


@pytest.mark.parametrize("end", ["the next case", "the list is closed", "the scene closes", "the program ends"])
@pytest.mark.parametrize("removed", ["PET", "CT"])
def test_edits_are_saved_although_an_image_was_removed(start, scene, listed, removed, end):
    """Removing a superfluous PET from the scene must not discard the user's edits."""
    reading = start(listed)
    go(reading, 0)
    voxels = edit(reading)
    nodes = reading.loader.loaded.nodes
    scene.RemoveNode(nodes.volumes[Modality.CT if removed == "CT" else Modality.FDG])
    assert reading.edited
    if end == "the next case":
        go(reading, 1)
        assert reading.current.id == "b" and not reading.message
    elif end == "the list is closed":
        reading.close_list()
        wait(reading)
        assert reading.cases is None
    else:
        reading.before_scene_closes() if end == "the scene closes" else reading.close()
    scene.Clear(0)
    again = start(listed)
    go(again, 0)
    assert tumor(again).sum() == voxels


def test_node_names_are_not_written_into_the_review(start, listed):
    reading = start(listed)
    go(reading, 0)
    reading.record(a_report("a"))
    edit(reading)
    go(reading, 2)
    text = (listed / "review.reactkd.json").read_text(encoding="utf-8")
    assert str(listed) not in text and "cases" in json.loads(text) and listed.name + "/" not in text
