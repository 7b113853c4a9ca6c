"""The review of a list: saved after each change, resumed, shared by two windows, and kept through disk errors."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import REACTKDLib.core.review.review as module
from REACTKDLib.core.review.record import CaseReview, answer_of
from REACTKDLib.core.review.review import NOT_SAVED, SCHEMA, Review
from REACTKDLib.core.writing.file_lock import Locked, lock_of, locked
from support.json_files import validator
from support.killed import PATH
from support.read_only import read_only
from support.scene_cases import make_case, make_result
from support.waits import within

NAME = "list.csv.reactkd.json"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / NAME


@pytest.fixture(scope="module")
def answer() -> dict:
    return answer_of(make_result(make_case()).report)


def on_disk(path: Path) -> dict:
    told = json.loads(path.read_text(encoding="utf-8"))
    validator(Path(module.__file__).with_name("review.schema.json")).validate(told)
    return told


def test_a_new_review_is_empty_and_writes_nothing(path):
    review = Review(path)
    assert review.of("a") == CaseReview() and review.of("a").state == "to do"
    assert not path.exists() and review.problem == "" and review.take_notices() == []


def test_each_change_is_saved_and_read_back(path, answer):
    review = Review(path)
    assert review.update("a", answer=answer, failure=None)
    assert on_disk(path)["cases"]["a"]["state"] == "graded"
    assert review.update("a", reader={"grade": "well"}, reviewed={})
    assert review.update("a", masks={"file": "list.csv.reactkd.masks/a.seg.nrrd", "liver": ["Liver"], "tumor": []})
    assert review.update("b", failure={"code": "no-volume", "reason": "There is none."})
    assert on_disk(path)["revision"] == 4
    again = Review(path)
    assert dict(again.cases) == dict(review.cases)
    a = again.of("a")
    assert (a.state, a.reader_grade, a.confidence) == ("reviewed", "well", 0.65)
    assert a.answer["grade"] == "poor" and a.answer["model"]["name"] == "hand-made"
    assert again.of("b").state == "to do" and again.of("b").failure["reason"] == "There is none."
    assert again.update("a", reviewed=None, reader=None)
    assert Review(path).of("a").state == "graded" and Review(path).of("a").reader_grade is None


def test_a_result_without_a_grade_is_stored(path):
    review = Review(path)
    review.update("a", answer=answer_of(make_result(make_case(), grade=None).report))
    on_disk(path)
    assert Review(path).of("a").confidence is None and Review(path).of("a").state == "graded"


def test_no_other_file_remains_beside_the_review(path, tmp_path):
    Review(path).update("a", reviewed={})
    assert [entry.name for entry in tmp_path.iterdir()] == [NAME]


def test_unknown_parts_are_refused(path):
    with pytest.raises(ValueError, match="no part 'grade'"):
        Review(path).update("a", grade={})


def test_two_windows_keep_each_others_changes(path):
    first, second = Review(path), Review(path)
    first.update("a", reader={"grade": "well"})
    second.update("b", reader={"grade": "poor"})
    first.update("a", reviewed={})
    cases = on_disk(path)["cases"]
    assert cases["a"]["reader"]["grade"] == "well" and cases["a"]["state"] == "reviewed"
    assert cases["b"]["reader"]["grade"] == "poor"
    assert first.of("b").reader_grade == "poor"
    assert first.take_notices() == ["Another window works on this list; it changed 'b'."]
    assert second.refresh() and second.of("a").state == "reviewed"
    assert not second.refresh()


def test_two_windows_that_set_the_same_mark_report_it_and_keep_both(path):
    first, second = Review(path), Review(path)
    first.update("a", reader={"grade": "well"})
    second.update("a", reader={"grade": "poor"})
    told = on_disk(path)["cases"]["a"]
    assert told["reader"]["grade"] == "poor"
    assert [entry["value"]["grade"] for entry in told["superseded"]] == ["well"]
    assert any("reader's grade of case 'a'" in notice for notice in second.take_notices())
    # a reader who has seen the other's mark may change it without a notice
    second.take_notices()
    second.update("a", reader={"grade": "moderate"})
    assert len(on_disk(path)["cases"]["a"]["superseded"]) == 1 and second.take_notices() == []


def test_removing_the_last_mark_of_a_case_reaches_every_window(path):
    first, second = Review(path), Review(path)
    first.update("a", reviewed={})
    second.refresh()
    second.update("a", reviewed=None)
    first.update("b", reviewed={})
    assert first.of("a").reviewed is None and Review(path).of("a").reviewed is None


def test_the_same_mark_twice_is_no_conflict(path):
    first, second = Review(path), Review(path)
    first.update("a", reader={"grade": "well"})
    second.update("a", reader={"grade": "well"})
    assert on_disk(path)["cases"]["a"]["superseded"] == []


def test_windows_in_separate_processes_lose_no_mark(path):
    program = (
        "import sys; from pathlib import Path; from REACTKDLib.core.review.review import Review\n"
        "review = Review(Path(sys.argv[1]))\n"
        "for n in range(25): review.update(f'{sys.argv[2]}{n}', reviewed={})\n"
        "import time\n"
        "for _ in range(100):\n"
        "    if review.flush(): break\n"
        "    time.sleep(0.02)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "xyz"]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert len(on_disk(path)["cases"]) == 75


def test_the_file_is_complete_after_a_kill_while_writing(path):
    """Whenever the process is killed, the file is complete."""
    program = (
        "import sys, time; from pathlib import Path; from REACTKDLib.core.review.review import Review\n"
        "review = Review(Path(sys.argv[1])); print(flush=True)\n"
        "n, end = 0, time.monotonic() + 60\n"  # no longer, should the test itself be killed
        "while time.monotonic() < end: review.update(f'case {n % 200}', reader={'grade': 'well'}); n += 1\n"
    )
    for wait in (0.05, 0.1, 0.17):
        with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(wait)
            process.kill()
        count = len(on_disk(path)["cases"])
        assert count > 0 and len(Review(path).cases) == count


HOLDER = """
import sys, time
from pathlib import Path
from REACTKDLib.core.writing.file_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_ends_with_the_process_that_holds_it(path):
    """The user interface waits only briefly for a program that holds the lock; a killed one no longer blocks it."""
    review = Review(path)
    environment = {**os.environ, "PYTHONPATH": PATH}
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        try:
            assert holder.stdout.readline().strip() == "held"
            with within(0.1):
                assert not review.update("a", reviewed={})
            assert "saved in a moment" in review.problem and review.of("a").state == "reviewed" and review.unsaved == 1
        finally:
            holder.kill()
    assert lock_of(path).exists()
    assert review.flush() and review.problem == "" and review.unsaved == 0
    assert on_disk(path)["cases"]["a"]["state"] == "reviewed"


def test_the_lock_excludes_a_second_holder(path):
    with locked(path), pytest.raises(Locked), locked(path):
        pass
    with locked(path):
        pass


def test_a_folder_that_cannot_be_written_gives_a_problem(path, tmp_path):
    Review(path).update("a", reader={"grade": "well"})
    with read_only(tmp_path):
        review = Review(path)
        assert review.problem == "" and review.of("a").reader_grade == "well"
        assert not review.update("a", reader={"grade": "poor"})
        assert review.problem == NOT_SAVED and review.of("a").reader_grade == "poor"
        assert not review.update("b", reviewed={}) and review.unsaved == 2
        assert Review(path).of("a").reader_grade == "well"
    assert review.flush() and review.problem == ""
    assert Review(path).of("a").reader_grade == "poor" and Review(path).of("b").state == "reviewed"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"schema": "other", "cases": {}}',
        b'{"schema": "reactkd-review/1", "revision": 1, "writer": "x", "cases": {"a": 3}}',
        b'{"schema": "reactkd-review/1", "revision": 1, "writer": "x", "cases": {"a": {"reader": {"at": "x"}}}}',
        b'{"schema": "reactkd-review/1", "revision": 1, "writer": "x", "cases": {"a": {"answer": {"at": "x"}}}}',
    ],
)
def test_a_damaged_file_is_kept_under_another_name(path, tmp_path, text):
    path.write_bytes(text)
    review = Review(path)
    (notice,) = review.take_notices()
    (aside,) = tmp_path.iterdir()
    assert aside.read_bytes() == text and f"'{aside.name}'" in notice and "begins anew" in notice
    assert review.update("a", reviewed={}) and on_disk(path)["cases"]["a"]["state"] == "reviewed"
    assert aside.read_bytes() == text


def test_a_file_damaged_or_removed_meanwhile_is_written_again(path):
    review = Review(path)
    review.update("a", reviewed={})
    path.write_text("{")
    review.update("b", reviewed={})
    assert set(on_disk(path)["cases"]) == {"a", "b"}
    assert "is written again" in review.take_notices()[0]
    path.unlink()
    review.update("c", reviewed={})
    assert set(on_disk(path)["cases"]) == {"a", "b", "c"}


def test_a_file_of_a_later_version_is_not_changed(path):
    text = json.dumps({"schema": "reactkd-review/2", "cases": []})
    path.write_text(text)
    review = Review(path)
    assert "newer version" in review.problem
    assert not review.update("a", reviewed={}) and review.of("a").state == "reviewed"
    assert path.read_text() == text


def test_a_file_of_a_later_version_written_meanwhile_is_not_changed(path):
    review = Review(path)
    review.update("a", reviewed={})
    text = json.dumps({"schema": "reactkd-review/2", "cases": []})
    path.write_text(text)
    for _ in range(2):
        assert not review.update("b", reviewed={}) and review.unsaved
        assert "newer version" in review.problem and path.read_text() == text
    assert not review.refresh() and "newer version" in review.problem


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe")
def test_a_temporarily_unreadable_file_is_not_overwritten(path):
    mine, other = Review(path), Review(path)
    other.update("theirs", reviewed={})
    away = path.rename(path.with_name("away"))
    os.mkfifo(path)  # stands in for an unreadable file, as on a disconnected share
    assert not mine.update("mine", reviewed={}) and mine.problem == NOT_SAVED
    assert stat.S_ISFIFO(path.stat().st_mode)
    away.replace(path)
    assert mine.refresh() and mine.flush() and mine.problem == ""
    assert set(on_disk(path)["cases"]) == {"mine", "theirs"}


def test_unknown_keys_of_later_versions_are_kept(path):
    Review(path).update("a", reviewed={})
    told = on_disk(path)
    told["cases"]["a"]["second_reader"] = {"grade": "well"}
    told["revision"] += 1
    path.write_text(json.dumps(told))
    Review(path).update("a", reader={"grade": "poor"})
    assert on_disk(path)["cases"]["a"]["second_reader"] == {"grade": "well"}


def test_cases_that_left_the_list_are_kept(path):
    Review(path).update("gone from the list", reader={"grade": "well"})
    Review(path).update("a", reviewed={})
    assert SCHEMA == on_disk(path)["schema"] and "gone from the list" in on_disk(path)["cases"]


def test_a_thousand_cases_are_saved_quickly(path, answer):
    review = Review(path)
    for n in range(1000):
        review._pending[f"case {n}", "", "answer"] = {**answer, "at": "2026-01-01T00:00:00Z"}
    review.flush()
    times = []
    for n in range(5):
        started = time.perf_counter()
        assert review.update(f"case {n}", reader={"grade": "well"})
        times.append(time.perf_counter() - started)
    assert min(times) < 0.1, times
