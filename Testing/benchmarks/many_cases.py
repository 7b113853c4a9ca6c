"""What each case of a long batch costs, from the first to the ten-thousandth: time, memory of all processes, the table.

    python Testing/benchmarks/many_cases.py --cases 10000 --jobs 2 --figure many_cases.png

The cases are one tiny phantom by many names, graded by the batch command as a user calls it, model and files included.
Time is that of the processors (all processes of the batch), which other work on the computer changes little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "REACTKD"), str(ROOT / "Testing")]

from REACTKDLib.core.cases.case_list import RESULTS  # noqa: E402
from REACTKDLib.core.modality import Modality  # noqa: E402
from REACTKDLib.core.student.bundle import Bundle  # noqa: E402
from support.case_files import NAMES, SEGMENTATION, write_case  # noqa: E402
from support.small_cases import small_case  # noqa: E402
from support.small_models import metadata_for, random_student  # noqa: E402

LOOK_S = 0.5
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "REACTKD")}


def main() -> None:
    """Run the batch, watch it, print the numbers as JSON and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then, with what is measured so far")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        command = prepare(root, options.cases, options.jobs)
        looks = watch(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT),
            root / "out",
            options.cases,
            60 * options.minutes,
        )
        rows = (root / "out" / RESULTS).read_text(encoding="utf-8").count("\n") - 1
    print(json.dumps(numbers(looks, rows, options.jobs), indent=1))
    if options.figure is not None:
        draw(looks, options.figure)


def prepare(root: Path, cases: int, jobs: int) -> list[str]:
    """Write the case, the model and the worklist; return the command."""
    write_case(small_case(modalities=[Modality.CT]), root / "files")
    student = random_student()
    Bundle.save(root / "bundle", student, metadata_for(student))
    row = f"files/{NAMES[Modality.CT]},files/{SEGMENTATION}"
    lines = "".join(f"case {n:05},{row}\n" for n in range(cases))
    (root / "list.csv").write_text(f"case,ct,segmentation\n{lines}", encoding="utf-8")
    named = {"worklist": root / "list.csv", "bundle": root / "bundle", "output": root / "out", "jobs": jobs}
    return [sys.executable, "-m", "REACTKDLib", "batch", *(f"--{key}={value}" for key, value in named.items())]


def watch(process: subprocess.Popen, output: Path, cases: int, most_s: float) -> np.ndarray:
    """Rows of (cases done, processor seconds, wall seconds, MB of all processes) during the batch, `most_s` at most."""
    looks, start, seen = [], time.monotonic(), psutil.Process(process.pid)
    while process.poll() is None:
        time.sleep(LOOK_S)
        done = newest(output, len(looks) and looks[-1][0], cases)
        try:
            family = [seen, *seen.children(recursive=True)]
            seconds = sum(sum(one.cpu_times()[:2]) for one in family)
            looks.append((done, seconds, time.monotonic() - start, sum(one.memory_info().rss for one in family) / 1e6))
        except psutil.NoSuchProcess:
            continue
        if time.monotonic() - start > most_s:
            process.terminate()
            process.wait()
            return np.array(looks)
    if process.returncode:
        raise SystemExit("The batch failed.")
    looks = np.array(looks)
    return looks[: looks[:, 1].argmax() + 1]  # at the end processes go, and their time with them


def newest(output: Path, done: int, cases: int) -> int:
    """How many cases are done: their folders appear in about the order of the list."""
    while done < cases and (output / f"case {int(done):05}" / "report.json").exists():
        done += 1
    return int(done)


def numbers(looks: np.ndarray, rows: int, jobs: int) -> dict[str, object]:
    """Milliseconds of processor time for a case in each tenth of the batch, and memory at its first and last tenth."""
    done = looks[:, 0]
    cuts = np.linspace(done[done > 0][0], done[-1], 11)
    seconds = np.interp(cuts, done, looks[:, 1])
    cost = 1000 * np.diff(seconds) / np.diff(cuts)
    memory = [float(looks[(done >= a) & (done <= b), 3].mean()) for a, b in (cuts[:2], cuts[-2:])]
    return {
        "rows": rows,
        "jobs": jobs,
        "wall_s": round(float(looks[-1, 2]), 1),
        "ms_a_case_by_tenths": [round(float(value), 1) for value in cost],
        "last_tenth_over_second": round(float(cost[-1] / cost[1]), 3),
        "mb_first_and_last_tenth": [round(value) for value in memory],
    }


def draw(looks: np.ndarray, path: Path) -> None:
    """Time and memory over the cases done."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    left.plot(looks[:, 0], looks[:, 1], color="#1f5fa8")
    left.set(xlabel="cases done", ylabel="processor time (s)", title="A batch of tiny digital phantoms: time")
    right.plot(looks[:, 0], looks[:, 3], color="#a84a1f")
    right.set(
        xlabel="cases done", ylabel="memory of all processes (MB)", title="memory", ylim=(0, 1.2 * looks[:, 3].max())
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_xlim(0, None)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
