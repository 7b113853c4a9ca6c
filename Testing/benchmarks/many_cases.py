"""Cost of each case of a long batch, from the first to the ten-thousandth: time, memory of all processes, result table.

    python Testing/benchmarks/many_cases.py --cases 10000 --jobs 2 --work many --figure many_cases.png

The cases are one tiny phantom under many names, graded by the batch command as by a user, including model and files.
Time is processor time (of all processes of the batch). Other load also slows a processor down, so a fixed piece of work
is timed repeatedly beside the batch, and the cost of a case is also given in units of it. With --work, the same command
resumes an interrupted run, including its measurements.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
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

LOOK_S = 2.0
LOOKS = "looks.jsonl"
PARTS = 10
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "REACTKD")}
_NUMBERS = np.random.default_rng(0).standard_normal(300_000).astype(np.float32)
_PACKED = zlib.compress(_NUMBERS.astype(np.int8).tobytes(), 1)


def main() -> None:
    """Run the batch, watch it, print the numbers as JSON and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end then, with what is measured so far")
    parser.add_argument("--work", type=Path, help="a folder that keeps everything, so that the same command goes on")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.work or Path(folder)
        command = prepare(root, options.cases, options.jobs)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        try:
            watch(process, root, options.cases, 60 * options.minutes)
        finally:
            process.terminate()
            process.wait()
        looks = [json.loads(line) for line in (root / LOOKS).read_text(encoding="utf-8").splitlines()]
        rows = (root / "out" / RESULTS).read_text(encoding="utf-8").count("\n") - 1
    print(json.dumps(numbers(looks, rows, options.jobs), indent=1))
    if options.figure is not None:
        draw(looks, options.figure)


def prepare(root: Path, cases: int, jobs: int) -> list[str]:
    """Write the case, the model and the worklist, unless they are there; return the command."""
    if not (root / "list.csv").exists():
        write_case(small_case(modalities=[Modality.CT]), root / "files")
        student = random_student()
        Bundle.save(root / "bundle", student, metadata_for(student))
        row = f"files/{NAMES[Modality.CT]},files/{SEGMENTATION}"
        lines = "".join(f"case {n:05},{row}\n" for n in range(cases))
        (root / "list.csv").write_text(f"case,ct,segmentation\n{lines}", encoding="utf-8")
    named = {"worklist": root / "list.csv", "bundle": root / "bundle", "output": root / "out", "jobs": jobs}
    return [sys.executable, "-m", "REACTKDLib", "batch", *(f"--{key}={value}" for key, value in named.items())]


def watch(process: subprocess.Popen, root: Path, cases: int, most_s: float) -> None:
    """Record the cost of the batch every two seconds, for `most_s` at most.

    run: the process. done: cases, of which those before `kept` were done by an earlier run. cpu, wall: seconds of this
    run. mb: memory of all processes. piece: processor seconds of `fixed_work`.
    """
    start, seen, spent = time.monotonic(), psutil.Process(process.pid), {}
    kept = done = newest(root / "out", 0, cases)
    with open(root / LOOKS, "a", encoding="utf-8") as stream:
        while process.poll() is None and time.monotonic() - start < most_s:
            time.sleep(LOOK_S)
            done = newest(root / "out", done, cases)
            memory = 0
            for one in family(seen):
                try:
                    spent[one.pid] = sum(one.cpu_times()[:2])  # for an ended process, the last value is kept
                    memory += one.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            look = {"run": process.pid, "kept": kept, "done": done, "cpu": sum(spent.values())}
            look |= {"wall": time.monotonic() - start, "mb": memory / 1e6, "piece": fixed_work()}
            stream.write(json.dumps(look) + "\n")
            stream.flush()
    if process.poll():
        raise SystemExit("The batch failed.")


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return the process and all its descendants."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def newest(output: Path, done: int, cases: int) -> int:
    """Return the number of finished cases; their folders appear in approximately the order of the list."""
    while done < cases and (output / f"case {int(done):05}" / "report.json").exists():
        done += 1
    return int(done)


def fixed_work() -> float:
    """Return the processor seconds of some sorting, unpacking and arithmetic, similar to a small part of a case."""
    start = time.process_time()
    for _ in range(3):
        np.sort(_NUMBERS)
        zlib.decompress(_PACKED)
        np.exp(_NUMBERS * _NUMBERS * -0.5).sum()
    return time.process_time() - start


def steps(looks: list[dict]) -> Iterator[tuple[float, float, float, float]]:
    """(cases done, new cases, their processor seconds, seconds of a piece) between two records of a run.

    Excludes the time before the first new case, in which the model is loaded and existing results are checked.
    """
    for a, b in zip(looks, looks[1:]):
        if a["run"] == b["run"] and a["done"] > a["kept"] and b["done"] > a["done"]:
            yield b["done"], b["done"] - a["done"], b["cpu"] - a["cpu"], (a["piece"] + b["piece"]) / 2


def by_parts(looks: list[dict]) -> list[dict[str, float]]:
    """Cost and memory in each tenth of the cases done."""
    cuts = np.linspace(0, looks[-1]["done"], PARTS + 1)
    found = []
    measured = np.array(list(steps(looks)))
    for low, high in zip(cuts, cuts[1:]):
        own = measured[(measured[:, 0] > low) & (measured[:, 0] <= high)]
        memory = [look["mb"] for look in looks if low < look["done"] <= high and look["done"] > look["kept"]]
        cases, cpu, piece = own[:, 1].sum(), own[:, 2].sum(), np.median(own[:, 3]) if len(own) else np.nan
        found.append({
            "to": round(float(high)),
            "ms": round(1000 * float(cpu / cases), 1) if cases else None,
            "pieces": round(float(cpu / cases / piece), 2) if cases else None,
            "piece_ms": round(1000 * float(piece), 1) if cases else None,
            "mb": round(float(np.median(memory))) if memory else None,
        })  # fmt: skip
    return found


def numbers(looks: list[dict], rows: int, jobs: int) -> dict[str, object]:
    """Return the numbers to print: rows of the table, wall seconds of all runs, and each tenth of the cases."""
    ends = {look["run"]: look["wall"] for look in looks}
    return {
        "rows": rows,
        "jobs": jobs,
        "runs": len(ends),
        "wall_s": round(sum(ends.values()), 1),
        "load": [round(value, 1) for value in psutil.getloadavg()],
        "tenths": by_parts(looks),
    }


def draw(looks: list[dict], path: Path) -> None:
    """Draw the cost of a case, and memory, over the cases done."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tenths = [part for part in by_parts(looks) if part["ms"] is not None]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    places = [part["to"] for part in tenths]
    left.plot(places, [part["ms"] for part in tenths], "o-", color="#1f5fa8", label="processor time, ms")
    first = tenths[0]["ms"] / tenths[0]["pieces"]
    equal = [part["pieces"] * first for part in tenths]
    left.plot(places, equal, "s--", color="#6d6d6d", label="at the speed of the first tenth, ms")
    left.set(xlabel="cases done", title="A batch of tiny digital phantoms: a case")
    left.set_ylim(0, 1.3 * max(part["ms"] for part in tenths))
    left.legend(loc="lower right")
    right.plot([look["done"] for look in looks], [look["mb"] for look in looks], ".", ms=2, color="#a84a1f")
    right.set(xlabel="cases done", ylabel="memory of all processes (MB)", title="memory")
    right.set_ylim(0, 1.2 * max(look["mb"] for look in looks))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_xlim(0, None)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
