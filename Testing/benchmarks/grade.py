"""Waiting times of a reader: click to grade, new grade after a mask edit, first click of a new process; and memory.

A full-size phantom (512 x 512 CT, two PETs), the shipped student, the CPU. Run alone on an idle machine: `make bench`.
On a busy one use the processor time, with OMP_NUM_THREADS=1 so that no thread waits for another.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "REACTKD"), str(ROOT / "REACTKDTrain"), str(ROOT / "Testing")]
ROUNDS = 7
PROCESSES = 3
PATIENT = "draw_patient(65, 'poor')"
FIRST = f"""
import sys, time
sys.path[:0] = {[str(ROOT / "REACTKD"), str(ROOT / "REACTKDTrain")]!r}
from REACTKDLib.core.phantom import acquire, draw_patient
case = acquire({PATIENT}, "full").case
started, spent = time.perf_counter(), time.process_time()
from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
from REACTKDLib.core.grading.grader import Grader
Grader(Bundle.load(shipped_bundle_folder()), device="cpu").open(case).grade()
print(time.perf_counter() - started, time.process_time() - spent)
"""


def timed(work) -> tuple[float, float]:
    """Return wall seconds and processor seconds."""
    started = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started[0], time.process_time() - started[1]


def said(times: list[tuple[float, float]]) -> str:
    """Return the medians of both as text, in ms."""
    clock, processor = (1000 * statistics.median(each) for each in zip(*times, strict=True))
    return f"{clock:5.0f} ms by the clock, {processor:5.0f} ms of the processor"


def first_click() -> tuple[float, float]:
    """Time from the click to the grade in a process that holds the images but has not loaded torch yet; as `timed`."""
    answer = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
    clock, processor = map(float, answer.stdout.split())
    return clock, processor


def main() -> None:
    """Measure and print."""
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.modality import Modality
    from REACTKDLib.core.phantom import acquire, draw_patient
    from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
    from support.compiled_files import keep_compiled_files

    keep_compiled_files()
    case = acquire(draw_patient(65, "poor"), "full").case
    grader = Grader(Bundle.load(shipped_bundle_folder()), device="cpu")
    session = grader.open(case)
    session.grade()
    before = psutil.Process().memory_info().rss
    alone = replace(case, volumes={Modality.CT: case.volumes[Modality.CT]})
    clicks, clicks_alone = [], []
    for _ in range(ROUNDS):  # alternately, so that other load affects both
        clicks.append(timed(lambda: grader.open(case).grade()))
        clicks_alone.append(timed(lambda: grader.open(alone).grade()))
    grown = psutil.Process().memory_info().rss - before
    edits = []
    inside = np.argwhere(case.liver & ~case.tumor)
    rng = np.random.default_rng(0)
    for _ in range(ROUNDS):
        tumor = case.tumor.copy()
        k, j, i = inside[rng.integers(len(inside))]
        tumor[max(k - 1, 0) : k + 2, j - 6 : j + 7, i - 6 : i + 7] = True
        edits.append(timed(lambda tumor=tumor: session.grade(tumor=tumor)))
    print(f"load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores, CT {case.reference.shape}")
    print(f"click to grade, CT and two PETs   {said(clicks)} (median of {ROUNDS}; goal 500)")
    print(f"click to grade, a case of CT alone{said(clicks_alone)} (goal 250)")
    print(f"new grade after a mask edit       {said(edits)} (goal 150)")
    first_click()  # compiles imports, as a user's first start does
    firsts = [first_click() for _ in range(PROCESSES)]
    print(f"first click in a new process      {said(firsts)} (median of {PROCESSES}; goal 1200)")
    print(f"memory grown by {2 * ROUNDS} gradings        {grown / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
