"""Responsiveness while reading: the longest blocking call in the window, and the wait from an edit to the new grade.

A full-size phantom (512 x 512 CT, two PETs) as scene nodes, the shipped student on the CPU. Run it alone. On a busy
computer use the processor time of an edit, of window and worker together; it approximates the wait on an idle computer,
since the two work alternately.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "REACTKD"), str(ROOT / "REACTKDTrain"), str(ROOT / "Testing")]
ROUNDS = 5
TICK_S = 0.005
LABELMAP = "Binary labelmap"


class Watch:
    """Polls a controller as the panel's timer does; records the longest call and the times of numbers and colors."""

    def __init__(self, controller: object) -> None:
        self.controller = controller
        self.longest = 0.0
        self.numbers_at = self.colors_at = 0.0
        controller.result_changed.connect(self._on_result)

    def _on_result(self, _report: object) -> None:
        self.numbers_at = time.perf_counter()

    @property
    def processor(self) -> float:
        """Return the processor seconds of this process and of its workers so far."""
        own = psutil.Process()
        return sum(sum(process.cpu_times()[:2]) for process in (own, *own.children(recursive=True)))

    def run(self, begin: Callable[[], None]) -> tuple[float, float, float]:
        """Return the seconds until the numbers arrive, the regions are colored, and the voxel map is shown."""
        started = time.perf_counter()
        begin()
        stamp = self._colors()
        while self.controller.busy:
            before = time.perf_counter()
            self.controller.poll()
            self.longest = max(self.longest, time.perf_counter() - before)
            if self._colors() != stamp:  # the last change counts
                stamp, self.colors_at = self._colors(), time.perf_counter()
            time.sleep(TICK_S)
        if self.controller.error:
            raise SystemExit(self.controller.error)
        return self.numbers_at - started, self.colors_at - started, time.perf_counter() - started

    def _colors(self) -> list[tuple]:
        """Return what slices show of each region: its voxels, color and opacity."""
        node = self.controller.parameter_node
        regions = node and node.GetNodeReference("Regions")
        if not regions:
            return []
        data, display = regions.GetSegmentation(), regions.GetDisplayNode()
        if display is None:  # nothing is written yet
            return []
        segments = {segment_id: data.GetSegment(segment_id) for segment_id in data.GetSegmentIDs()}
        fill = display.GetSegmentOpacity2DFill
        return [(one.GetColor(), fill(key), one.GetRepresentation(LABELMAP).__this__) for key, one in segments.items()]


def main() -> None:
    """Measure and print."""
    from host.boot import boot
    from REACTKDLib.core.phantom import acquire, draw_patient
    from REACTKDLib.core.worker.jobs import Model
    from REACTKDLib.scene.case import nodes_from_case
    from REACTKDLib.scene.grading import GradingController
    from support.compiled_files import keep_compiled_files
    from support.edits import paint

    keep_compiled_files()
    scene = boot().scene
    case = acquire(draw_patient(65, "poor"), "full").case
    nodes = nodes_from_case(scene, case)
    first = {}
    for warm in (False, False, True):  # the first run compiles imports, as a user's first start does
        controller = GradingController(scene, model=Model(None, "cpu"))
        watch = Watch(controller)
        if warm:  # as the panel does when it is opened
            controller.warm_up()
            while controller.dispatcher.waiting:
                controller.poll()
                time.sleep(TICK_S)
        first[warm] = watch.run(partial(controller.grade, nodes))
        if not warm:
            controller.close()
    inside = np.argwhere(case.liver & ~case.tumor)
    rng, edits, spent = np.random.default_rng(0), [], 0.0
    for _ in range(ROUNDS):
        k, j, i = inside[rng.integers(len(inside))]
        stroke = np.zeros(case.liver.shape, dtype=bool)
        stroke[max(k - 1, 0) : k + 2, j - 6 : j + 7, i - 6 : i + 7] = True
        paint(nodes.segmentation, "Tumor", stroke & case.liver, nodes.reference)
        before = watch.processor
        edits.append(watch.run(controller.regrade))
        spent += watch.processor - before
    what_if = watch.run(lambda: controller.what_if(mute=["Lesion 1"]))[-1]
    controller.close()
    numbers, colors, whole = (statistics.median(times) for times in zip(*edits, strict=True))
    print(f"load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores, CT {case.reference.shape}")
    for warm, words in {False: "not started     ", True: "loaded its model"}.items():
        told = zip(first[warm], ("numbers", "colors", "voxel map"), strict=True)
        print(f"first grade, the worker has {words}    " + ", ".join(f"{s:.2f} s to the {what}" for s, what in told))
    print(f"after a mask edit                       {1000 * numbers:.0f} ms to the numbers (goal 200 ms),")
    print(f"                                        {1000 * colors:.0f} ms to the colors (goal 150 ms),")
    print(f"                                        {1000 * whole:.0f} ms to the voxel map,")
    print(f"                                        {1000 * spent / ROUNDS:.0f} ms of the processor (mean of {ROUNDS})")
    print(f"what if, without a lesion               {1000 * what_if:.0f} ms")
    print(f"longest silence of the window           {1000 * watch.longest:.0f} ms (goal 100 ms)")


if __name__ == "__main__":
    main()
