"""The interface is never silent for long while a case of full size is graded, and again after an edit.

Measured as the processor time that the interface's thread takes between two ticks of a timer: what other programs of a
busy computer do in between is not this module's silence. Views are hidden, since off-screen OpenGL draws on the
processor what a graphics card draws in the application.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.edits import ball, paint
from support.panel_steps import GRADE_S, wait_for_grade, wait_for_inputs

LIMIT_S = 0.1


class Ticks:
    """The longest time between two ticks, of the thread's own work and by the clock, and when in the work it was."""

    def __init__(self, context: Any) -> None:
        import qt  # the host's

        self._context = context
        self.longest, self.longest_wall, self.during = 0.0, 0.0, ""
        self._timer = qt.QTimer()
        self._timer.setInterval(5)
        self._timer.connect("timeout()", self._tick)

    def start(self) -> None:
        """Measure from now on."""
        self._last = time.thread_time(), time.monotonic()
        self._timer.start()

    def stop(self) -> None:
        """Measure no more."""
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


@pytest.fixture(scope="module")
def full_case() -> Any:
    """A phantom of the size that a hospital's CT has."""
    from REACTKDLib.core.phantom import acquire, draw_patient

    return acquire(draw_patient(seed=7)).case


@pytest.mark.slow
def test_grading_and_following_an_edit(application: Any, user: Any, scene: Any, full_case: Any, context: Any) -> None:
    from REACTKDLib.scene.case import nodes_from_case

    application.app.layoutManager().hide()
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
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, place, 12.0), nodes.reference)  # the pen's own time
    ticks = Ticks(context)
    ticks.start()
    user.wait_until(lambda: context.report is not first and not context.busy, GRADE_S, "the grade to follow")
    ticks.stop()
    print(f"after an edit: {ticks}")
    assert graded < LIMIT_S and ticks.longest < LIMIT_S
