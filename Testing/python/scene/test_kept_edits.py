"""Edits of a case that stays open are saved in the background: a crash of the application costs half a minute of them.

What the reader does meanwhile follows the save.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time

import psutil
import pytest

from REACTKDLib.core.writing.stamps import stamp_of
from REACTKDLib.scene import case_loader, mask_saving
from support.reading_steps import a_report, edit, go, tumor, wait

MASKS = "review.reactkd.masks"


@pytest.fixture
def reading(start, listed, monkeypatch):
    """A list of two cases, with the first one open; edits are saved at the second look at them."""
    monkeypatch.setattr(mask_saving, "KEEP_AFTER_S", 0.0)
    shutil.rmtree(listed / "c")
    reading = start(listed)
    go(reading, 0)
    return reading


def look(reading, times: int = 2) -> None:
    """Look around as the panel does every two seconds. The first time sees an edit, the second saves it."""
    for _time in range(times):
        reading.look_around()
        wait(reading)


def until_the_worker_is_idle(reading) -> None:
    """Wait until the next case is read ahead."""
    end = time.monotonic() + 60
    while reading.dispatcher.waiting:
        assert time.monotonic() < end
        reading.work()
        time.sleep(0.005)


def until_the_worker_has_the_masks(reading) -> None:
    """Take the steps of a save until an idle worker has its job."""
    while not reading.dispatcher.waiting:
        assert reading.busy
        reading.work()


def begin_save(reading) -> None:
    """Edit the masks, and begin a save, until the worker has them."""
    until_the_worker_is_idle(reading)
    edit(reading)
    reading.look_around()
    reading.look_around()
    until_the_worker_has_the_masks(reading)


def test_edits_are_found_again_after_a_crash(reading, start, listed):
    look(reading)
    assert not (listed / MASKS).exists(), "nothing was drawn, nothing is saved"
    voxels = edit(reading)
    opened = []
    reading.opened.connect(lambda: opened.append(reading.index))
    look(reading)
    assert (listed / MASKS / "a.seg.nrrd").is_file() and reading.message == "" and not reading.edited
    assert opened == [] and reading.current.id == "a" and tumor(reading).sum() == voxels, "the case stays as it is"
    after_a_crash = start(listed)  # the first one was not closed
    go(after_a_crash, 0)
    assert tumor(after_a_crash).sum() == voxels


def test_edits_are_not_saved_before_their_time(reading, listed, monkeypatch):
    monkeypatch.setattr(mask_saving, "KEEP_AFTER_S", 1000.0)
    edit(reading)
    look(reading, times=4)
    assert reading.edited and not (listed / MASKS).exists()


STEPS = {
    "next": (lambda reading, listed: reading.go_on(1), "b"),
    "another case": (lambda reading, listed: reading.go_to(1), "b"),
    "no list": (lambda reading, listed: reading.close_list(), None),
    "another list": (lambda reading, listed: reading.open_list(listed), None),
    "a table": (lambda reading, listed: reading.save(lambda: reading.set_comment("a", "written")), "a"),
    "another reader": (lambda reading, listed: reading.read_as("Zoe"), "a"),
    "a study": (lambda reading, listed: reading.start_study(1), None),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_during_the_save_follows_it(reading, listed, step):
    do, then = STEPS[step]
    voxels = edit(reading)
    reading.look_around()
    reading.look_around()
    assert reading.busy and not reading.locked, "a save in the background must not lock the panel"
    do(reading, listed)
    wait(reading)
    assert (reading.current.id if reading.current is not None else None) == then
    assert (listed / MASKS / "a.seg.nrrd").is_file(), "the edits must be saved as those of the reader who drew them"
    if step == "a table":
        assert reading.review.of("a").comment["text"] == "written"
    if step == "no list":
        assert reading.cases is None
    if step == "another reader":
        assert reading.reader == "Zoe" and tumor(reading).sum() != voxels
    if step == "a study":
        assert reading.in_study


ACTIONS = {
    "a table": lambda reading: reading.save(lambda: reading.set_comment("a", f"{reading.review.of('a').comment}+")),
    "next": lambda reading: reading.go_on(1),
    "a study": lambda reading: reading.start_study(1),
}


@pytest.mark.parametrize("second", ACTIONS)
@pytest.mark.parametrize("first", ACTIONS)
def test_the_first_action_during_the_save_locks_the_panel_until_it_is_done(reading, first, second):
    """A second one was done too, or was dropped without a word: two clicks started two batches, one was started in a
    study that a click before it had begun, and no table was written after a step.
    """
    begin_save(reading)
    assert reading.quiet and not reading.locked
    ACTIONS[first](reading)
    assert reading.locked and not reading.quiet, "the user waits for the save now"
    ACTIONS[second](reading)
    wait(reading)
    assert (reading.review.of("a").comment is not None) == (first == "a table")
    assert first != "a table" or reading.review.of("a").comment["text"].count("+") == 1
    assert reading.in_study == (first == "a study")
    assert (reading.index, reading.locked) == ({"a table": 0, "next": 1, "a study": None}[first], False)


def test_what_changes_nothing_does_not_lock_the_panel_during_the_save(reading):
    begin_save(reading)
    reading.go_to(0)  # a double click on the row of the open case
    reading.read_as(reading.reader)
    reading.end_study()
    assert reading.quiet and not reading.locked
    reading.go_on(1)
    wait(reading)
    assert reading.current.id == "b"


def test_a_failed_save_is_reported_once_until_one_succeeds(reading, listed):
    voxels = edit(reading)
    (listed / MASKS).touch()  # a file where the folder should be
    look(reading, times=4)
    assert reading.message.count("'a' could not be saved") == 1 and reading.question is None
    assert "Report > Masks..." in reading.message and tumor(reading).sum() == voxels
    reading.go_on(-1)
    assert "'a' could not be saved" in reading.message, "it is still true after another step"
    reading.go_on(1)
    wait(reading)
    assert "'a' could not be saved" in reading.question.text and "saved" not in reading.message, "said at one place"
    reading.answer(leave=False)
    (listed / MASKS).unlink()
    look(reading)
    assert reading.message == "" and (listed / MASKS / "a.seg.nrrd").is_file()


def test_the_failure_of_a_case_that_was_left_is_not_shown_with_the_next(reading, listed):
    edit(reading)
    (listed / MASKS).touch()
    look(reading)
    reading.go_on(1)
    wait(reading)
    reading.answer(leave=True)
    wait(reading)
    assert reading.current.id == "b" and reading.message == ""


def test_a_result_that_comes_during_the_save_is_of_the_saved_masks(reading, listed):
    """The save of masks that were being graded used to mark their new result as one of older masks."""
    edit(reading)
    reading.keep()
    assert reading.record(a_report("a"))
    wait(reading)
    assert not reading.edited and not reading.review.of("a").answer["outdated"]
    edit(reading, (-60.0, 10.0, 50.0))
    reading.keep()
    edit(reading, (-40.0, 10.0, 50.0))  # also these masks will be saved
    assert reading.record(a_report("a"))
    wait(reading)
    assert not reading.edited and not reading.review.of("a").answer["outdated"]
    edit(reading, (-20.0, 20.0, 50.0))
    reading.keep()
    wait(reading)
    assert not reading.edited and reading.review.of("a").answer["outdated"]


def test_closing_the_scene_during_the_save_keeps_the_last_edits_and_the_next_case_opens(reading, scene, listed):
    until_the_worker_is_idle(reading)
    edit(reading)
    look(reading, times=1)
    reading.look_around()
    until_the_worker_has_the_masks(reading)
    voxels = edit(reading, (-60.0, 10.0, 50.0))
    reading.go_on(1)
    reading.before_scene_closes()
    assert not reading.busy and reading.current is None, "nothing follows the save"
    scene.Clear(0)
    go(reading, 0)
    assert tumor(reading).sum() == voxels
    reading.go_to(1)
    reading.go_on(-1)  # while the case is opened, nothing is saved, so nothing follows
    wait(reading)
    assert reading.current.id == "b"


def hold(process: int) -> None:
    """Stop a process, and wait until it stands still."""
    os.kill(process, signal.SIGSTOP)
    while psutil.Process(process).status() != psutil.STATUS_STOPPED:
        pass


def hold_while_it_writes(reading, folder) -> int:
    """Begin saves, and let the worker run for moments, until it is held while its file is not complete; return its
    process. On a busy computer a moment may be long enough for the whole file, so there are several attempts.
    """
    process, target = reading.dispatcher.client.process_id, folder / "a.seg.nrrd"
    for attempt in range(20):
        until_the_worker_is_idle(reading)
        hold(process)
        before = stamp_of(target)
        edit(reading, (-60.0, 10.0 + attempt, 50.0))
        begin_save(reading)
        while stamp_of(target) == before:
            if any(path != target for path in folder.glob("*")):
                return process
            os.kill(process, signal.SIGCONT)
            time.sleep(0.0005)
            hold(process)
        os.kill(process, signal.SIGCONT)
        wait(reading)
    raise AssertionError("the worker was never held in time")


def assert_kept(reading, scene, listed, voxels) -> None:
    """Assert that the case opens with the last edits, and that they are in its only file."""
    scene.Clear(0)
    assert [path.name for path in (listed / MASKS).iterdir()] == ["a.seg.nrrd"]
    go(reading, 0)
    assert tumor(reading).sum() == voxels


def test_a_save_that_ends_while_the_scene_closes_does_not_replace_the_last_edits(reading, scene, listed):
    """The worker wrote its older masks over the last ones."""
    process = hold_while_it_writes(reading, listed / MASKS)
    voxels = edit(reading, (-40.0, 0.0, 50.0))
    goes_on = threading.Timer(0.3, os.kill, (process, signal.SIGCONT))
    goes_on.start()
    reading.before_scene_closes()
    goes_on.join()
    time.sleep(0.5)  # for what the worker might write
    assert_kept(reading, scene, listed, voxels)
    assert reading.dispatcher.client.process_id == process, "a worker that finishes is not ended"


def test_a_save_that_does_not_end_is_stopped_before_the_last_edits_are_written(reading, scene, listed, monkeypatch):
    monkeypatch.setattr(case_loader, "SAVE_PATIENCE_S", 0.2)
    until_the_worker_is_idle(reading)
    hold(reading.dispatcher.client.process_id)
    begin_save(reading)
    voxels = edit(reading, (-60.0, 10.0, 50.0))
    reading.before_scene_closes()  # a killed process writes nothing
    assert_kept(reading, scene, listed, voxels)


def test_a_save_whose_answer_was_not_read_yet_is_the_same_file(reading, scene, listed):
    """It was taken for another window's file, so the last edits were written beside it."""
    begin_save(reading)
    voxels = edit(reading, (-60.0, 10.0, 50.0))
    end = time.monotonic() + 60
    while not (listed / MASKS / "a.seg.nrrd").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    reading.before_scene_closes()
    assert_kept(reading, scene, listed, voxels)
