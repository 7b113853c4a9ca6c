"""Progress as parts of a whole, and its display: Slicer's tags, a bar on a terminal, lines in a file."""

from __future__ import annotations

import io
import re

import pytest

from REACTKDLib.core.progress import TimeLeft
from REACTKDTrainLib.progress import ProgressDisplay, WeightedProgress, duration


class Clock:
    """A clock that the test advances, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(style: str, calls: list[tuple[float, float, str]]) -> str:
    """The output for the calls (seconds, fraction, text)."""
    clock, stream = Clock(), io.StringIO()
    with ProgressDisplay(stream, style, "REACTKDTrain", clock) as on_progress:
        for clock.now, fraction, text in calls:
            on_progress(fraction, text)
    return stream.getvalue()


CALLS = [(0.0, 0.0, "preparing cases"), (300.0, 0.25, "teacher, loss 0.531"), (990.0, 1.0, "done")]


def test_slicer_reads_tags() -> None:
    assert shown("slicer", CALLS).splitlines() == [
        "<filter-start><filter-name>REACTKDTrain</filter-name></filter-start>",
        "<filter-progress>0.0000</filter-progress>",
        "<filter-comment>preparing cases</filter-comment>",
        "<filter-progress>0.2500</filter-progress>",
        "<filter-comment>teacher, loss 0.531, 15 min left</filter-comment>",
        "<filter-progress>1.0000</filter-progress>",
        "<filter-comment>done</filter-comment>",
        "<filter-end><filter-name>REACTKDTrain</filter-name><filter-time>990.0</filter-time></filter-end>",
    ]


def test_slicer_removes_all_tags_from_the_shown_text() -> None:
    # the expressions of vtkSlicerCLIModuleLogic::RemoveProgressInfoFromProcessOutput, in their order
    text = shown("slicer", CALLS) + "Done.\n"
    for tag in ("progress", "stage-progress", "name", "comment", "time", "start", "end"):
        text = re.sub(f"<filter-{tag}>[^<]*</filter-{tag}>[ \t\n\r]*", "", text)
    assert text == "Done.\n"


def test_a_file_gets_a_line_each_minute_and_none_for_short_work() -> None:
    """`release make` was silent in a log for hours; the errors of short commands stay one sentence on their stream."""
    calls = [(s, s / 600, f"case {s // 20:.0f}") for s in range(0, 601, 20)]
    lines = shown("minutes", calls).splitlines()
    assert len(lines) == 10 and lines[0].startswith(" 10.0 %  case 3") and lines[-1] == "100.0 %  case 30"
    assert shown("minutes", calls[:3]) == ""


def test_a_file_gets_lines() -> None:
    assert shown("lines", CALLS).splitlines() == [
        "  0.0 %  preparing cases", " 25.0 %  teacher, loss 0.531, 15 min left", "100.0 %  done"]  # fmt: skip


def test_the_style_none_prints_nothing() -> None:
    assert shown("none", CALLS) == ""


def test_a_terminal_gets_one_line_that_is_redrawn_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    text = shown("terminal", CALLS)
    assert " 25.0 %|" in text and "teacher, loss 0.5" in text
    assert re.findall("[^\r\n]*\n", text) == ["This takes about 20 min.\n"]  # measured, printed once, and kept
    assert not text.rsplit("\r", 2)[1].strip()  # the last thing drawn is an empty line


def test_short_work_has_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert "about" not in shown("terminal", [(0.0, 0.0, "a"), (3.0, 0.5, "a"), (6.0, 1.0, "a")])


def test_the_first_cases_give_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """They include the import of packages and are a small part, so a run of minutes would be estimated to take days."""
    monkeypatch.setenv("COLUMNS", "70")
    cases = [(0.0, 0.0, "preparing cases"), (4.0, 0.0005, "preparing cases"), (9.0, 0.019, "preparing cases")]
    assert "left" not in shown("lines", cases) and "about" not in shown("terminal", cases)
    assert "left" in shown("lines", [*cases, (12.0, 0.02, "preparing cases")])
    assert "left" in shown("lines", [*cases[:1], (600.0, 0.0005, "preparing cases")]), (
        "a long wait must show an estimate"
    )


def test_the_remaining_time_is_correct_with_two_processes() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    left(0.0)
    for minute in range(1, 5):  # two processes, ten cases each, a minute per case
        for more, clock.now in ((-1, 60.0 * minute), (0, 60.0 * minute + 0.01)):
            seconds = left((2 * minute + more) / 20)
    assert seconds == pytest.approx(6 * 60, rel=0.1)


@pytest.mark.parametrize("there", [[0.5], [0.1, 0.3, 0.5, 0.7], [0.01 * n for n in range(1, 61)]])
def test_work_of_an_earlier_run_does_not_change_the_estimate(there: list[float]) -> None:
    """A resumed run skips finished work at once; only the rest determines its speed."""
    clock = Clock()
    left = TimeLeft(clock)
    left(0.0)
    for fraction in there:
        clock.now += 0.02
        left(fraction)
    for step in range(1, 6):  # a thousandth per second
        clock.now += 1.0
        seconds = left(there[-1] + 0.001 * step)
    assert seconds == pytest.approx(1000 * (1 - there[-1]), rel=0.05)


def test_a_new_stage_and_the_end_are_printed_at_once_and_the_rest_rarely() -> None:
    steps = [(0.01 * n, n / 1000, f"{'teacher' if n < 50 else 'student'}, loss {n}") for n in range(100)]
    text = shown("slicer", [*steps, (1.0, 1.0, "student, loss 0")])
    assert [float(v) for v in re.findall("progress>([0-9.]+)<", text)] == [0.0, 0.05, 1.0]


def test_messages_after_the_last_percent_are_rare_too() -> None:
    text = shown("lines", [(0.001 * n, 1.0, "predicting unseen cases") for n in range(500)])
    assert text.count("predicting") == 1


def test_a_day_of_training_stays_small_for_slicer() -> None:
    # Slicer removes tags one by one, each time from the start of the whole output
    day = 24 * 3600
    text = shown("slicer", [(s, s / day, "student, loss 0.5") for s in range(day)])
    assert 1000 < text.count("<filter-progress>") < 6000 and len(text) < 1e6


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (9e4, "25.0 h")]
)
def test_durations_are_worded(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_fraction_of_a_run_never_decreases() -> None:
    seen = []
    progress = WeightedProgress({"a": 1.0, "b": 3.0}, lambda *call: seen.append(call))
    a, b = progress.part("a"), progress.part("b")
    for part, fraction in ((a, 0.5), (a, 1.0), (a, 0.2), (b, 0.5), (b, 1.0)):
        part(fraction, "working")
    progress.part("not announced")(1.0, "more")
    assert seen == [*((f, "working") for f in (0.125, 0.25, 0.25, 0.625, 1.0)), (1.0, "more")]
