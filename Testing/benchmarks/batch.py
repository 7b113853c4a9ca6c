"""Speed-up of a batch with two processes over one: a full-size phantom under many names, including reading the files.

    python Testing/benchmarks/batch.py --cases 30

The command is run as by a user, with the shipped student and including its start. Wall time, so run it alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "REACTKD"), str(ROOT / "Testing")]

from REACTKDLib.core.modality import Modality  # noqa: E402
from REACTKDLib.core.phantom import acquire, draw_patient  # noqa: E402
from support.case_files import NAMES, SEGMENTATION, write_case  # noqa: E402
from support.compiled_files import keep_compiled_files  # noqa: E402

ROUNDS = 2
GOAL = 1.6


def main() -> None:
    """Grade the list alternately with one and two processes, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=30)
    options = parser.parse_args()
    keep_compiled_files()
    os.environ["PYTHONPATH"] = str(ROOT / "REACTKD")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_case(acquire(draw_patient(65, "poor"), "full").case, root / "files")
        images = ",".join(f"files/{NAMES[m]}" for m in Modality)
        rows = "".join(f"case {n},{images},files/{SEGMENTATION}\n" for n in range(options.cases))
        heading = ",".join(["case", *(m.value for m in Modality), "segmentation"])
        (root / "list.csv").write_text(f"{heading}\n{rows}", encoding="utf-8")
        graded(root, "warm", 1)  # compiles imports and fills the system's file cache
        found = {jobs: [] for jobs in (1, 2)}
        for number in range(ROUNDS):
            for jobs in found:
                found[jobs].append(graded(root, f"{number}-{jobs}", jobs))
    one, two = (statistics.median(times) for times in found.values())
    print(f"load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores, {options.cases} cases")
    print(f"one after the other  {one:.1f} s")
    print(f"two processes        {two:.1f} s")
    print(f"ratio                {one / two:.2f} (goal {GOAL})")


def graded(root: Path, name: str, jobs: int) -> float:
    """Return the seconds of the command with this number of processes."""
    output = root / f"out-{name}"
    command = [sys.executable, "-m", "REACTKDLib", "batch", "--worklist", str(root / "list.csv")]
    started = time.perf_counter()
    subprocess.run([*command, "--output", str(output), "--jobs", str(jobs)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
