"""Several readers of one list in the scene: each has their own masks, and a study hides answers and records times."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.review.readers import reader_folder, reading_order
from REACTKDLib.core.review.record import answer_of
from REACTKDLib.scene.case import CaseNodes, nodes_from_case
from REACTKDLib.scene.reader_marks import GRADE_FIRST
from REACTKDLib.scene.reader_study import ReaderStudy
from REACTKDLib.scene.reading import Reading
from support.reading_steps import a_report, edit, go, listed_case, tumor, wait

PLACES = {"Anna": (-20.0, 10.0, 50.0), "Bert": (-30.0, 0.0, 45.0), "": (-25.0, 20.0, 50.0)}


def drawn_by(reading: Reading) -> np.ndarray:
    """Paint a ball at a location unique to the reader; return the tumor mask."""
    edit(reading, PLACES[reading.reader])
    return tumor(reading)


def test_masks_of_one_reader_never_replace_those_of_another(start, listed):
    reading = start(listed, "")
    go(reading, 0)
    listed_tumor, drawn = tumor(reading), {}
    drawn[""] = drawn_by(reading)
    go(reading, 1)
    for name in ("Anna", "Bert"):
        reading.read_as(name)
        wait(reading)
        assert reading.current.id == "b" and "unnamed reader" in reading.message
        go(reading, 0)
        assert (tumor(reading) == listed_tumor).all(), "the masks of the list, not those of another reader"
        drawn[name] = drawn_by(reading)
        reading.record(a_report("a"), holds=True)
        reading.set_reader_grade("a", "well")
        go(reading, 1)
    masks = listed / "review.reactkd.masks"
    assert {str(p.relative_to(masks)) for p in masks.rglob("*.seg.nrrd")} == {
        "a.seg.nrrd", *(f"{reader_folder(name)}/a.seg.nrrd" for name in ("Anna", "Bert"))
    }  # fmt: skip
    for name, voxels in drawn.items():
        reading.read_as(name)
        wait(reading)
        go(reading, 0)
        assert (tumor(reading) == voxels).all(), name
        assert (reading.review.of("a").answer is None) == (name == ""), "the answer to masks of one's own"
        go(reading, 1)


def test_two_windows_of_two_readers_lose_no_mask_and_no_mark(start, listed):
    anna, bert = start(listed, "Anna"), start(listed, "Bert")
    drawn = {}
    for reading in (anna, bert):
        go(reading, 0)
        drawn[reading.reader] = drawn_by(reading)
        reading.set_reader_grade("a", {"Anna": "well", "Bert": "poor"}[reading.reader])
        reading.set_comment("a", f"  of {reading.reader} ")
        reading.set_difficulty("a", "hard")
    for reading in (anna, bert, anna, bert):
        go(reading, 1 if reading.index == 0 else 0)
        reading.look_around()
    for reading in (anna, bert):
        record = reading.review.of("a")
        assert record.comment["text"] == f"of {reading.reader}" and record.difficulty["level"] == "hard"
        assert record.masks["file"].split("/")[1] == reader_folder(reading.reader)
        assert (tumor(reading) == drawn[reading.reader]).all()
    assert anna.review.of("a").reader_grade == "well" and bert.review.of("a").reader_grade == "poor"
    anna.set_comment("a", " ")
    assert anna.review.of("a").comment is None and bert.review.of("a").comment["text"] == "of Bert"


def test_a_linked_folder_of_a_reader_is_not_written(start, listed, tmp_path):
    (listed / "review.reactkd.masks").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (listed / "review.reactkd.masks" / reader_folder("Anna")).symlink_to(tmp_path / "elsewhere")
    reading = start(listed, "Anna")
    go(reading, 0)
    edit(reading)
    reading.go_to(1)
    wait(reading)
    assert "link to another place" in reading.question.text and not list((tmp_path / "elsewhere").iterdir())
    reading.answer(leave=True)
    wait(reading)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    ticking = Clock()
    monkeypatch.setattr(
        "REACTKDLib.scene.reading.ReaderStudy", lambda cases, review: ReaderStudy(cases, review, ticking)
    )
    return ticking


def test_a_study_records_the_first_and_the_second_grade_with_times(start, listed, clock):
    reading = start(listed, "Anna")
    reading.review.update("b", answer={**answer_of(a_report("b")), "grade": "poor"})
    go(reading, 0)
    reading.start_study(7)
    assert reading.in_study and reading.current is None and not reading.loader.present and "study" in reading.message
    order = reading_order(["a", "b", "c"], 7, "Anna")
    assert [n for n, _, _ in reading.rows()] == order
    assert all(record.answer is None for _, _, record in reading.rows()), "the table too"
    uncovered = []
    reading.uncovered.connect(lambda: uncovered.append(reading.current.id))

    reading.go_on(1)
    wait(reading)
    case, nodes = reading.current.id, reading.loader.loaded.nodes
    assert reading.index == order[0] and reading.place == 1 and reading.hides_answer_of(nodes)
    clock.now += 30
    reading.set_reviewed(case, True)
    reading.show_answer()
    assert reading.message == GRADE_FIRST and reading.review.of(case).reviewed is None and uncovered == []
    reading.set_reader_grade(case, "moderate")
    reading.go_on(1)  # left before the first grade is final, and resumed
    wait(reading)
    clock.now += 1000
    reading.go_on(-1)
    wait(reading)
    clock.now += 12
    reading.set_reader_grade(case, "well")
    reading.show_answer()
    assert uncovered == [case] and not reading.hides_answer_of(reading.loader.loaded.nodes)
    unaided = reading.review.of(case).unaided
    assert (unaided["grade"], unaided["seconds"], unaided["place"], unaided["seed"]) == ("well", 42.0, 1, 7)

    clock.now += 5  # the model computes
    reading.record(a_report(case))
    clock.now += 6
    for step in (1, -1):  # left and resumed: the earlier answer is shown at once
        reading.go_on(step)
        wait(reading)
        clock.now += 1000 * (step == 1)
    reading.answer_shown()
    clock.now += 2
    reading.set_reader_grade(case, "poor")
    assert reading.review.of(case).aided is None, "not before the case is finished"
    reading.set_reviewed(case, True)
    record = reading.review.of(case)
    assert (record.aided["grade"], record.aided["seconds"]) == ("poor", 8.0) and record.unaided["grade"] == "well"
    assert record.aided["shown"]["grade"] == record.answer["grade"]
    reading.set_reader_grade(case, "moderate")
    assert reading.review.of(case).aided["grade"] == "moderate"
    reading.set_reviewed(case, False)
    assert reading.review.of(case).aided is None and reading.review.of(case).unaided["grade"] == "well"


def test_a_study_covers_other_readers_and_windows_and_can_end(start, listed, clock):
    anna, bert = start(listed, "Anna"), start(listed, "Bert")
    go(bert, 0)
    anna.start_study(3)
    bert.look_around()
    assert bert.in_study and bert.current is None, "a window that was open before hides its answer too"
    assert [n for n, _, _ in bert.rows()] == reading_order(["a", "b", "c"], 3, "Bert")
    again = start(listed, "Anna")
    assert again.in_study and "study" in again.message
    go(again, 1)
    again.end_study()
    assert not again.in_study and [n for n, _, _ in again.rows()] == [0, 1, 2]
    assert [path.name for path in listed.iterdir() if "study" in path.name] == []


def test_a_study_hides_the_answer_to_every_part_of_the_case(start, listed, scene):
    reading = start(listed, "Anna")
    reading.start_study(7)
    reading.go_on(1)
    wait(reading)
    nodes = reading.loader.loaded.nodes
    other = nodes_from_case(scene, listed_case())
    for modality, volume in nodes.volumes.items():
        assert reading.hides_answer_of(CaseNodes({modality: volume}, other.segmentation))
    assert reading.hides_answer_of(CaseNodes(other.volumes, nodes.segmentation))
    assert not reading.hides_answer_of(other) and not reading.hides_answer_of(None)
