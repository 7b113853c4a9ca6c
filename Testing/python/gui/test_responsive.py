"""The interface never blocks for long while a full-size case is graded, edited, or opened from a long list.

Measured as the CPU time of the GUI thread between two ticks of a timer: delays caused by other programs on a busy
computer do not count. The views are hidden, since off-screen OpenGL renders on the CPU what the application renders on
a graphics card.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QFileDialog

from support.case_files import write_case
from support.edits import ball, paint
from support.panel_steps import GRADE_S, wait_for_grade, wait_for_inputs

LIMIT_S = 0.1


class Ticks:
    """The longest time between two ticks, as CPU time of the thread and as wall time, and the step it occurred in."""

    def __init__(self, context: Any) -> None:
        import qt  # the host's

        self._context = context
        self.longest, self.longest_wall, self.during = 0.0, 0.0, ""
        self._timer = qt.QTimer()
        self._timer.setInterval(5)
        self._timer.connect("timeout()", self._tick)

    def start(self) -> None:
        """Start measuring; collecting the garbage of earlier tests must not count."""
        gc.collect()
        self._last = time.thread_time(), time.monotonic()
        self._timer.start()

    def stop(self) -> None:
        """Stop measuring."""
        self._timer.stop()

    def __str__(self) -> str:
        wall = f"{1000 * self.longest_wall:.0f} ms by the clock"
        return f"{1000 * self.longest:.0f} ms of work ({self.during!r}), {wall}"

    def _tick(self) -> None:
        now = time.thread_time(), time.monotonic()
        spent = now[0] - self._last[0]
        if spent > self.longest:
            self.longest, self.during = spent, self._context.controller.progress[1]
        self.longest_wall = max(self.longest_wall, now[1] - self._last[1])
        self._last = now


@pytest.fixture
def no_views(application: Any) -> Iterator[None]:
    """The views are hidden, and shown again for later tests."""
    application.app.layoutManager().hide()
    yield
    application.app.layoutManager().show()


@pytest.fixture(scope="module")
def full_case() -> Any:
    """A phantom of the size of a hospital CT."""
    from REACTKDLib.core.phantom import acquire, draw_patient

    return acquire(draw_patient(seed=7, biology="independent")).case


@pytest.mark.slow
@pytest.mark.usefixtures("no_views")
def test_grading_and_updating_after_an_edit_never_block_the_window(
    user: Any, scene: Any, full_case: Any, context: Any
) -> None:
    from REACTKDLib.scene.case import nodes_from_case

    nodes = nodes_from_case(scene, full_case)
    wait_for_inputs(user, nodes)
    ticks = Ticks(context)
    ticks.start()
    user.click("gradeButton")
    wait_for_grade(user)
    user.click("liveCheckBox")
    first = context.report
    ticks.stop()
    graded = ticks.longest
    print(f"grading: {ticks}")
    place = first.regions[1].centroid_ras_mm
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, place, 12.0), nodes.reference)  # the edit's own time
    ticks = Ticks(context)
    ticks.start()
    user.wait_until(lambda: context.report is not first and not context.busy, GRADE_S, "the grade to follow")
    ticks.stop()
    print(f"after an edit: {ticks}")
    assert graded < LIMIT_S and ticks.longest < LIMIT_S


@pytest.fixture(scope="module")
def long_list(full_case: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 full-size cases, each with three images and masks; all are hard links to the files of the first."""
    root = tmp_path_factory.mktemp("list")
    first = write_case(full_case, root / "case 000")
    for number in range(1, 200):
        (root / f"case {number:03}").mkdir()
        for path in first.iterdir():
            os.link(path, root / f"case {number:03}" / path.name)
    return root


@pytest.mark.slow
@pytest.mark.usefixtures("no_views")
def test_opening_and_stepping_through_200_cases_never_blocks_the_window(
    user: Any, widget: Any, context: Any, long_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(long_list)))
    user.toggle_section("casesSection")
    table, reading, longest = user.find("casesTable"), widget.panel.reading, {}

    def watch(what: str, do: Callable[[], Any], until: Callable[[], bool], rest_s: float = 0.5) -> None:
        ticks = Ticks(context)
        ticks.start()
        do()
        user.wait_until(until, GRADE_S, what)
        end = time.monotonic() + rest_s  # what follows, such as the recognition of inputs, delays the user as well
        user.wait_until(lambda: time.monotonic() > end)
        ticks.stop()
        longest[what] = ticks.longest
        print(f"{what}: {ticks}")

    def is_open(name: str) -> Callable[[], bool]:
        return lambda: not reading.busy and context.nodes is not None and context.state.case_id == name

    watch("open the list", lambda: user.click("openFolderButton"), lambda: table.item(199, 6) is not None)
    assert len(reading.cases.cases) == 200
    watch("the first case", lambda: user.click("nextCaseButton"), is_open("case 000"))
    watch("the next", lambda: user.click("nextCaseButton"), is_open("case 001"), rest_s=8.0)  # and reading ahead
    watch("the next, read ahead", lambda: user.click("nextCaseButton"), is_open("case 002"))
    watch("one far down", lambda: user.click_cell("casesTable", 180, double=True), is_open("case 180"))
    watch("mark it", lambda: user.click("reviewedCheckBox"), lambda: table.item(180, 4).text() == "yes")
    watch("those to do", lambda: user.click("todoCheckBox"), lambda: reading.todo_only)
    watch("the one before", lambda: user.click("previousCaseButton"), is_open("case 179"))
    watch("all again", lambda: user.click("todoCheckBox"), lambda: table.item(199, 6) is not None)
    watch("close it", lambda: user.click("closeListButton"), lambda: reading.cases is None)
    assert {what: seconds for what, seconds in longest.items() if seconds >= LIMIT_S} == {}
