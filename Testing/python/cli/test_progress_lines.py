"""Lines of progress, on a terminal and in a pipe."""

from __future__ import annotations

import io

import pytest

from REACTKDLib.commands.batch import _Pace
from REACTKDLib.commands.progress import Progress
from REACTKDTrainLib.progress import ProgressDisplay


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def lines_of(stream: io.StringIO) -> list[str]:
    """Return what was drawn; lines of blanks alone erase a bar."""
    drawn = stream.getvalue().replace("\x1b[K", "").replace("\r", "\n").split("\n")
    return [line for line in drawn if line.strip()]


@pytest.mark.parametrize("text", ["", "reading CT", "reading CT "])
def test_no_line_of_a_bar_ends_with_a_blank(text: str) -> None:
    """`batch` ended with '1 of 1 '."""
    with Progress(Terminal()) as progress:
        progress.prefix = "1 of 1 "
        progress(1.0, text)
        progress.say("1 case ")
    lines = lines_of(progress._stream)
    assert lines[0] == f"[{'#' * 30}] 1 of 1 {text}".rstrip() and lines[1] == "1 case"


def test_the_last_line_of_a_batch_ends_with_its_count() -> None:
    class Case:
        before = ()

    with Progress(Terminal()) as progress:
        _Pace([Case()], 1, progress)(kept=False)
    assert lines_of(progress._stream)[-1].endswith("] 1 of 1")


@pytest.mark.parametrize("style", ["lines", "terminal", "slicer"])
def test_no_line_of_a_display_ends_with_a_blank(style: str) -> None:
    stream = Terminal() if style == "terminal" else io.StringIO()
    with ProgressDisplay(stream, style, "name") as progress:
        progress(0.5, "")
        progress(1.0, "done ")
    for line in lines_of(stream):
        assert line.replace("</filter-comment>", "") == line.replace("</filter-comment>", "").rstrip(), repr(line)
