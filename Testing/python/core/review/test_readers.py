"""Several readers of one list: each sees their own marks, none overwrites another's, and names never share a folder."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import REACTKDLib.core.review.review as module
from REACTKDLib.core.cases.case_list import open_case_list
from REACTKDLib.core.cases.names import is_file_name, on_disk
from REACTKDLib.core.review.readers import LONGEST, UNNAMED, reader_folder, reader_name, reading_order, same_person
from REACTKDLib.core.review.readers_table import readers_csv
from REACTKDLib.core.review.record import answer_of
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.review.study import Study, end_study, read_study, start_study
from support.json_files import validator
from support.killed import PATH
from support.read_only import read_only
from support.scene_cases import make_case, make_result

SCHEMA = Path(module.__file__).with_name("review.schema.json")
AT = "2026-01-01T00:00:00Z"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "list.csv.reactkd.json"


@pytest.fixture(scope="module")
def answer() -> dict:
    return answer_of(make_result(make_case()).report)


def review_of(path: Path, reader: str) -> Review:
    review = Review(path)
    review.read_as(reader)
    return review


def on_disk_cases(path: Path) -> dict:
    content = json.loads(path.read_text(encoding="utf-8"))
    validator(SCHEMA).validate(content)
    return content["cases"]


def test_each_reader_sees_their_own_marks(path, answer):
    unnamed, anna = Review(path), review_of(path, "Anna")
    unnamed.update("a", answer=answer, reader={"grade": "well"}, reviewed={})
    assert anna.refresh()
    assert anna.of("a").reader is None and anna.of("a").state == "graded" and anna.of("a").answer["grade"] == "poor"
    anna.update("a", reader={"grade": "poor"}, comment={"text": "wash-out?"}, difficulty={"level": "hard"})
    bert = review_of(path, "Bert")
    assert bert.of("a").reader is None and bert.of("a").comment is None
    assert Review(path).of("a").reader_grade == "well" and Review(path).of("a").state == "reviewed"
    anna.read_as(UNNAMED)
    assert anna.of("a").reader_grade == "well"
    anna.read_as("Anna")
    record = anna.of("a")
    assert (record.reader_grade, record.comment["text"], record.difficulty["level"]) == ("poor", "wash-out?", "hard")
    assert on_disk_cases(path)["a"]["reader"]["grade"] == "well"
    assert set(on_disk_cases(path)["a"]["readers"]) == {"Anna"} and Review(path).readers() == [UNNAMED, "Anna"]
    assert anna.update("a", comment=None) and review_of(path, "Anna").of("a").comment is None


def test_a_result_of_a_readers_own_masks_belongs_to_that_reader(path, answer):
    anna, bert = review_of(path, "Anna"), review_of(path, "Bert")
    anna.update("a", answer=answer, failure=None)
    bert.refresh()
    assert bert.of("a").answer["grade"] == "poor", "both see the masks of the list"
    corrected = {**answer, "grade": "well"}
    bert.update("a", own_masks=True, answer=corrected, failure=None)
    bert.update("a", masks={"file": "list.csv.reactkd.masks/x/a.seg.nrrd"})
    anna.refresh()
    assert anna.of("a").answer["grade"] == "poor" and bert.of("a").answer["grade"] == "well"
    bert.update("a", answer={**answer, "grade": "moderate"})
    assert Review(path).of("a").answer["grade"] == "poor" and bert.of("a").answer["grade"] == "moderate"
    # an old file holds the answer to the unnamed reader's masks, which belongs to no other reader
    Review(path).update("b", answer=answer, masks={"file": "list.csv.reactkd.masks/b.seg.nrrd"})
    anna.refresh()
    assert anna.of("b").answer is None and Review(path).of("b").answer["grade"] == "poor"
    anna.update("b", answer=corrected)
    assert Review(path).of("b").answer["grade"] == "poor" and anna.of("b").answer["grade"] == "well"


def test_only_another_window_of_the_same_reader_gives_a_notice(path):
    anna, bert, again = (review_of(path, name) for name in ("Anna", "Bert", "Anna"))
    bert.update("a", reader={"grade": "well"})
    assert anna.refresh() and anna.take_notices() == []
    again.update("a", reader={"grade": "poor"})
    assert anna.refresh() and anna.of("a").reader_grade == "poor"
    assert anna.take_notices() == ["Another window works on this list; it changed 'a'."]


def test_of_two_first_grades_the_earlier_is_kept(path):
    first, second = review_of(path, "Anna"), review_of(path, "Anna")
    first.update("a", unaided={"grade": "well", "seconds": 12.5, "place": 1, "seed": 7})
    second.update("a", unaided={"grade": "poor", "seconds": 3.0, "place": 1, "seed": 7})
    for review in (second, review_of(path, "Anna")):
        assert review.of("a").unaided["grade"] == "well"
    assert "given in another window before" in second.take_notices()[-1]
    (entry,) = on_disk_cases(path)["a"]["superseded"]
    assert (entry["reader"], entry["part"], entry["value"]["grade"]) == ("Anna", "unaided", "poor")


def test_superseded_marks_are_recorded_even_after_a_disk_fault(path, tmp_path):
    first, second = review_of(path, "Anna"), review_of(path, "Anna")
    first.update("a", unaided={"grade": "well", "seconds": 1.0}, reader={"grade": "well"})
    with read_only(tmp_path):
        assert not second.update("a", unaided={"grade": "poor", "seconds": 2.0}, reader={"grade": "poor"})
        assert second.refresh() or second.of("a").unaided["grade"] == "well"
    first.update("a", comment={"text": "again"})
    assert second.unsaved and second.flush()
    record = on_disk_cases(path)["a"]
    assert {(e["part"], e["value"]["grade"]) for e in record["superseded"]} == {("unaided", "poor"), ("reader", "well")}
    assert record["readers"]["Anna"]["unaided"]["grade"] == "well" and second.of("a").reader_grade == "poor"


NAMES = st.sampled_from([UNNAMED, "Anna", "anna", "Bert"])
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 3),  # index of the window
        st.sampled_from(["case 1", "case 2"]),
        st.sampled_from(["reader", "comment", "reviewed"]),
        st.integers(0, 9),  # the value, 0 for none
        st.booleans(),  # the window reloads the file first
    ),
    max_size=12,
)
MADE = {"reader": lambda n: {"grade": str(n)}, "comment": lambda n: {"text": str(n)}, "reviewed": lambda n: {"n": n}}


@settings(max_examples=25, deadline=None)
@given(st.tuples(NAMES, NAMES, NAMES, NAMES), CHANGES)
def test_no_action_of_readers_and_windows_loses_a_mark(tmp_path_factory, names, changes):
    path = tmp_path_factory.mktemp("r") / "list.csv.reactkd.json"
    windows = [review_of(path, name) for name in names]
    last: dict[tuple[str, str, str], int] = {}
    ever: set[tuple[str, str, str, int]] = set()
    for window, case, part, value, looks in changes:
        review = windows[window]
        if looks:
            review.refresh()
        assert review.update(case, **{part: MADE[part](value) if value else None})
        last[case, names[window], part] = value
        ever.add((case, names[window], part, value))
    again = Review(path)
    for (case, name, part), value in last.items():
        found = again.cases[case].part(part, name)
        assert (found is None) == (value == 0), "the last mark of each reader must be kept"
        assert found is None or {**found, "at": 0} == {**MADE[part](value), "at": 0}
    known = {(case, name, part) for case, name, part in last}
    for case, record in again.cases.items():  # and no reader has a mark that they did not set
        for name in ("Anna", "anna", "Bert", UNNAMED):
            for part in MADE:
                assert (case, name, part) in known or record.part(part, name) is None
    on_disk_cases(path) if path.exists() else None


def test_readers_in_separate_processes_lose_no_mark(path):
    program = (
        "import sys, time; from pathlib import Path; from REACTKDLib.core.review.review import Review\n"
        "review = Review(Path(sys.argv[1])); review.read_as(sys.argv[2])\n"
        "for n in range(20): review.update(f'case {n}', reader={'grade': sys.argv[2]}, reviewed={})\n"
        "for _ in range(100):\n"
        "    if review.flush(): break\n"
        "    time.sleep(0.02)\n"
    )
    environment = {**os.environ, "PYTHONPATH": PATH}
    command = [sys.executable, "-c", program, str(path)]
    running = [subprocess.Popen([*command, name], env=environment) for name in ("Anna", "Bert", "Anna")]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    cases = on_disk_cases(path)
    assert len(cases) == 20
    assert all(
        entry["readers"][name]["reader"]["grade"] == name for entry in cases.values() for name in ("Anna", "Bert")
    )


def test_a_file_without_reader_names_is_read(path):
    """The whole file is read; its marks and corrected masks belong to the unnamed reader."""
    masks = {"file": "list.csv.reactkd.masks/a.seg.nrrd", "liver": [], "tumor": [], "at": AT}
    old = {"state": "reviewed", "answer": None, "failure": None, "reader": {"grade": "well", "at": AT}}
    old |= {"reviewed": {"at": AT}, "masks": masks, "superseded": []}
    text = json.dumps({"schema": "reactkd-review/1", "revision": 3, "writer": "x", "cases": {"a": old}})
    path.write_text(text)
    anna = review_of(path, "Anna")
    assert anna.take_notices() == [] and anna.of("a").masks is None and anna.readers() == [UNNAMED]
    anna.update("a", reader={"grade": "poor"})
    after = on_disk_cases(path)["a"]
    assert {key: after[key] for key in old} == old and after["readers"]["Anna"]["reader"]["grade"] == "poor"
    assert not [entry for entry in path.parent.iterdir() if "damaged" in entry.name]


@pytest.mark.parametrize(
    ("readers", "kept"),
    [
        (f'{{"Anna": {{"reader": {{"grade": 3}}, "reviewed": {{"at": "{AT}"}}}}}}', {"Anna": {"reviewed"}}),
        (f'{{"Anna": 3, "Bert": {{"comment": {{"text": "x", "at": "{AT}"}}}}}}', {"Bert": {"comment"}}),
        (f'{{"": {{"reviewed": {{"at": "{AT}"}}}}}}', {}),
        ("[1]", {}),
    ],
)
def test_valid_parts_of_a_damaged_reader_are_kept_and_the_file_is_set_aside(path, readers, kept):
    line = f'"a": {{"reader": {{"grade": "well", "at": "{AT}"}}, "superseded": [], "readers": {readers}}}'
    text = f'{{"schema": "reactkd-review/1", "revision": 1, "writer": "x", "cases": {{\n{line}\n}}}}\n'
    path.write_text(text)
    record = Review(path).cases["a"]
    assert record.reader_grade == "well" and {name: set(own) for name, own in record.readers.items()} == kept
    assert [e.read_text() for e in path.parent.iterdir() if ".damaged-" in e.name] == [text]


# -- names


@settings(max_examples=300)
@given(st.text(max_size=80))
def test_any_typed_name_is_kept_as_displayed(typed):
    name = reader_name(typed)
    assert reader_name(name) == name and len(name) <= LONGEST and name == name.strip() and name.isprintable()


TYPED = st.text(max_size=70) | st.sampled_from(
    ["../../x", "..", ".", "/etc/passwd", "C:\\x", "con", "NUL.txt", "a/b", "Anna", "anna", "ANNA", "Anna ",
     "Ann\u0430", "\u202eannA", "e\u0301", "\u00e9", "~", "a~b", "x" * 300, "\ud800", "\0", "\u738b"]
)  # fmt: skip


@settings(max_examples=300)
@given(TYPED, TYPED)
def test_reader_folders_are_distinct_and_stay_inside_the_review_folder(one, other):
    one, other = reader_name(one), reader_name(other)
    for name in filter(None, (one, other)):
        folder = reader_folder(name)
        assert is_file_name(folder) and Path(folder).name == folder and not folder.endswith((".seg.nrrd", ".json"))
    if one and other and one != other:
        assert on_disk(reader_folder(one)) != on_disk(reader_folder(other))


def test_a_similar_spelling_of_a_reader_name_is_found():
    assert same_person("dr lee", ["Anna", "Dr_Lee", UNNAMED]) == "Dr_Lee"
    assert same_person("dr lee", ["dr lee", "Anna"]) is None


# -- the study


def test_answers_are_hidden_until_the_first_grade(path, answer):
    review = review_of(path, "Anna")
    review.update("a", answer=answer)
    review.update("b", failure={"code": "x", "reason": "y"})
    review.hide_answers(True)
    assert review.hides_answer("a") and review.hides_answer("never seen")
    assert review.of("a").answer is None and review.of("a").state == "to do" and review.of("b").failure is None
    assert review.of("a").confidence is None and review.whole("a").answer["grade"] == "poor"
    review.update("a", reader={"grade": "well"})
    assert review.hides_answer("a"), "the result must be hidden until the grade is confirmed"
    review.update("a", unaided={"grade": "well", "seconds": 9.0})
    assert not review.hides_answer("a") and review.of("a").answer["grade"] == "poor" and review.hides_answer("b")
    review.read_as("Bert")
    assert review.hides_answer("a"), "hiding must be separate for each reader"
    review.hide_answers(False)
    assert review.of("a").answer["grade"] == "poor"


@settings(max_examples=60)
@given(st.lists(st.text(max_size=5), unique=True, max_size=12), st.integers(0, 2**31 - 1), st.text(max_size=5))
def test_the_order_is_a_shuffle_by_seed_and_reader(names, seed, reader):
    order = reading_order(names, seed, reader)
    assert sorted(order) == list(range(len(names))) and order == reading_order(names, seed, reader)
    fewer = [names[n] for n in reading_order(names[:-1], seed, reader)]
    assert fewer == [names[n] for n in order if n < len(names) - 1], (
        "an additional case must not change the order of the others"
    )


def test_the_reading_order_of_a_seed_never_changes():
    names = [f"case {n}" for n in range(8)]
    assert reading_order(names, 7, "Anna") == [1, 0, 4, 6, 7, 3, 5, 2]
    others = {tuple(reading_order(names, 7, f"reader {n}")) for n in range(20)}
    assert len(others) == 20 and len({tuple(reading_order(names, n, "Anna")) for n in range(20)}) == 20


def test_a_study_is_a_file_beside_the_list(tmp_path):
    path = tmp_path / "list.csv.reactkd.study.json"
    assert read_study(path) is None
    end_study(path)
    start_study(path, 12)
    assert read_study(path) == Study(12)
    for text in (
        "",
        "{}",
        "[1]",
        '{"schema": "reactkd-study/1", "seed": -1}',
        '{"schema": "reactkd-study/2", "seed": 1}',
    ):
        path.write_text(text)
        assert "answers stay hidden" in read_study(path).problem
    end_study(path)
    assert read_study(path) is None


def test_the_table_of_all_readers(tmp_path, answer):
    (tmp_path / "list.csv").write_text("case,ct,segmentation\na,x.nii,y.nii\n=b,x.nii,y.nii\nc,x.nii,y.nii\n")
    cases = open_case_list(tmp_path / "list.csv")
    unnamed, anna = Review(cases.review_file), review_of(cases.review_file, "Anna")
    unnamed.update("a", answer=answer, reader={"grade": "well"})
    shown = {key: answer[key] for key in ("grade", "probabilities", "model")}
    anna.update("a", unaided={"grade": "well", "seconds": 61.5, "place": 2, "seed": 7}, reader={"grade": "poor"})
    anna.update("a", aided={"grade": "poor", "seconds": 8.0, "shown": shown}, reviewed={}, comment={"text": "a; b\nc"})
    anna.update("=b", reader={"grade": "moderate"}, difficulty={"level": "hard"})
    review = Review(cases.review_file)
    review.hide_answers(True)
    rows = list(csv.DictReader(io.StringIO(readers_csv(cases, review))))
    assert [(row["case"], row["reader"]) for row in rows] == [("a", ""), ("a", "Anna"), ("'=b", "Anna")]
    first, second, third = rows
    assert (first["reader_grade"], first["unaided_grade"], first["model_grade"]) == ("well", "", "poor")
    told = {key: second[key] for key in ("unaided_grade", "unaided_seconds", "aided_grade", "place", "seed", "comment")}
    expected = {"unaided_grade": "well", "unaided_seconds": "61.5", "aided_grade": "poor", "place": "2", "seed": "7"}
    assert told == {**expected, "comment": "a; b\nc"} and second["p_poor"] == "0.6500" and second["reviewed"] == "yes"
    assert third["difficulty"] == "hard" and third["model_grade"] == ""
