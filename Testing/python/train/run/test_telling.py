"""Progress on standard output: Slicer's tags, one line on a terminal, lines in a file."""

from __future__ import annotations

import io
import re

import pytest

from REACTKDTrainLib.training.progress import Now
from REACTKDTrainLib.training.telling import Teller, duration, in_words


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(style: str, nows: list[tuple[float, Now]]) -> str:
    """What a Teller prints when `nows` come at their times (s)."""
    clock, stream = Clock(), io.StringIO()
    teller = Teller(stream, style, clock)
    teller.start()
    for clock.now, now in nows:
        teller(now)
    teller.end("Done.")
    return stream.getvalue()


NOWS = [(0.0, Now(0, "preparing cases")), (10.0, Now(0.25, "teacher", 0.53149, 700.0)), (99.0, Now(1, "done", None, 0))]


def test_slicer_reads_tags() -> None:
    assert told("slicer", NOWS).splitlines() == [
        "<filter-start><filter-name>REACTKDTrain</filter-name></filter-start>",
        "<filter-progress>0.0000</filter-progress>",
        "<filter-comment>preparing cases</filter-comment>",
        "<filter-progress>0.2500</filter-progress>",
        "<filter-comment>teacher, loss 0.531, 12 min left</filter-comment>",
        "<filter-progress>1.0000</filter-progress>",
        "<filter-comment>done</filter-comment>",
        "<filter-end><filter-name>REACTKDTrain</filter-name><filter-time>99.0</filter-time></filter-end>",
        "Done.",
    ]


def test_slicer_takes_all_tags_out_of_what_it_shows() -> None:
    # the expressions of vtkSlicerCLIModuleLogic::RemoveProgressInfoFromProcessOutput, in its order
    text = told("slicer", NOWS)
    for tag in ("progress", "stage-progress", "name", "comment", "time", "start", "end"):
        text = re.sub(f"<filter-{tag}>[^<]*</filter-{tag}>[ \t\n\r]*", "", text)
    assert text == "Done.\n"


def test_a_file_gets_lines() -> None:
    assert told("file", NOWS).splitlines() == [
        "  0.0 %  preparing cases", " 25.0 %  teacher, loss 0.531, 12 min left", "100.0 %  done", "Done."]  # fmt: skip


def test_a_terminal_gets_one_line_that_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    shown = told("terminal", NOWS).split("\n")
    assert len(shown) == 3 and shown[1] == "Done."
    lines = shown[0].split("\r")[1:]
    assert lines[1] == " 25.0 %  teacher, loss 0.531,"  # cut, since a line that wraps cannot be written over
    assert lines[2] == "100.0 %  done".ljust(len(lines[1]))  # nothing of the longer line is left


def test_the_end_of_an_error_leaves_the_terminals_line() -> None:
    stream = io.StringIO()
    teller = Teller(stream, "terminal", Clock())
    teller(Now(0.5, "teacher"))
    teller.end()
    assert stream.getvalue().endswith("teacher\n")


def test_a_new_stage_and_the_end_are_told_at_once_and_the_rest_seldom() -> None:
    steps = [(0.01 * n, Now(n / 1000, "teacher" if n < 50 else "student")) for n in range(100)]
    text = told("slicer", [*steps, (1.0, Now(1, "student"))])
    assert [float(v) for v in re.findall("progress>([0-9.]+)<", text)] == [0.0, 0.05, 1.0]


def test_what_goes_on_after_the_last_percent_does_not_flood_either() -> None:
    text = told("file", [(0.001 * n, Now(1.0, "predicting unseen cases")) for n in range(500)])
    assert text.count("predicting") == 1


def test_a_day_of_training_stays_small_for_slicer() -> None:
    # Slicer takes tags out one by one, each time from the start of all that was printed
    day = 24 * 3600
    text = told("slicer", [(s, Now(s / day, "student", 0.5, 60)) for s in range(day)])
    assert 1000 < text.count("<filter-progress>") < 6000 and len(text) < 1e6


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (9e4, "25.0 h")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_time_left_is_told_only_when_it_is_known_and_the_run_goes_on() -> None:
    assert in_words(Now(0.1, "teacher")) == "teacher"
    assert in_words(Now(1.0, "done", None, 0.0)) == "done"
    assert in_words(Now(0.5, "teacher", None, float("inf"))) == "teacher"
