"""Growth of the processor time with lesions, slices and cases; printed, and drawn to a file with `--draw`.

The full-size phantom (512 x 512 CT, two PETs) and the shipped student, on one CPU thread, so that the time does not
depend on other load. All numbers are the minimum of a few rounds. Peak memory as reported by Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "REACTKD"), str(ROOT / "REACTKDTrain"), str(ROOT / "Testing")]
LESIONS = (1, 2, 4, 8, 16, 32, 64)
SLICES = (50, 100, 200, 400, 700, 1000)
CASES = (10, 30, 100, 300, 1000)
Rows = list[tuple[int, ...]]


def cost_of(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the minimum processor seconds of a few rounds."""
    spent = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)


def with_lesions(case, count: int):
    """Return the case with its lesions replaced by `count` separate balls of 5 mm in the liver."""
    from scipy.ndimage import distance_transform_edt

    spacing = case.reference.spacing[::-1]
    deep = np.argwhere(distance_transform_edt(case.liver, sampling=spacing) > 7.0)
    rng, centers = np.random.default_rng(0), []
    for place in deep[rng.permutation(len(deep))]:
        if all(np.linalg.norm((place - other) * spacing) > 14.0 for other in centers):
            centers.append(place)
        if len(centers) == count:
            break
    return replace(case, tumor=balls(case, centers, 5.0), lesions=None), centers


def balls(case, centers: Sequence[np.ndarray], radius_mm: float) -> np.ndarray:
    """Return a mask of balls around these voxels, bool (D, H, W)."""
    spacing = case.reference.spacing[::-1]
    reach = np.ceil(radius_mm / spacing).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    offsets = offsets[np.linalg.norm(offsets * spacing, axis=1) <= radius_mm]
    mask = np.zeros(case.reference.shape, dtype=bool)
    for center in centers:
        mask[tuple((center + offsets).T)] = True
    return mask


def by_lesions(case, grader) -> Rows:
    """(lesions, ms of the first grade without encoding, ms of a grade after one lesion has been changed)."""
    rows = []
    for count in LESIONS:
        many, centers = with_lesions(case, count)
        sessions = [grader.open(replace(many, tumor=many.tumor.copy())) for _ in range(2)]
        first = min(cost_of(session.grade, 1) for session in sessions)
        edits = [balls(many, [*centers[:-1]], 5.0) | balls(many, centers[-1:], size) for size in (4.0, 6.0, 4.5)]
        edited = iter(edits)
        again = cost_of(lambda session=sessions[0], edited=edited: session.grade(tumor=next(edited)), len(edits))
        rows.append((count, 1000 * first, 1000 * again))
        print("{:6d} lesions   first grade {:5.0f} ms   after an edit {:5.0f} ms".format(*rows[-1]), flush=True)
    return rows


def by_slices(case, grader) -> Rows:
    """(slices, ms from click to grade) for the same body with increasingly thin CT slices."""
    rows = []
    for count in SLICES:
        thin = resliced(case, count)
        rows.append((count, 1000 * cost_of(lambda thin=thin: grader.open(replace(thin)).grade(), 2)))
        print("{:6d} slices   click to grade {:6.0f} ms".format(*rows[-1]), flush=True)
        del thin
    return rows


def resliced(case, count: int):
    """Return the case with CT and masks resampled to `count` slices by nearest neighbor."""
    from REACTKDLib.core.modality import Modality

    ct = case.reference
    index = (np.arange(count) * len(ct.array) / count).astype(int)
    matrix = ct.ijk_to_ras.copy()
    matrix[:3, 2] *= len(ct.array) / count
    volumes = {**case.volumes, Modality.CT: replace(ct, array=ct.array[index], ijk_to_ras=matrix)}
    return replace(case, volumes=volumes, liver=case.liver[index], tumor=case.tumor[index], lesions=None)


def by_cases(counts: Sequence[int]) -> Rows:
    """(cases, ms per case, peak MB) of `batch` over tiny cases, each run in its own process."""
    from support.case_files import NAMES, SEGMENTATION, write_case
    from support.small_cases import small_case

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_case(small_case(), root / "case")
        for count in counts:
            entry = ",".join([*(f"case/{name}" for name in NAMES.values()), f"case/{SEGMENTATION}"])
            lines = ["case,ct,fdg,acetate,segmentation", *(f"case {n},{entry}" for n in range(count))]
            (root / "work.csv").write_text("\n".join(lines))
            script = [sys.executable, __file__, "--one-batch", str(root / "work.csv"), str(root / f"out{count}")]
            answer = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
            rows.append((count, 1000 * float(answer[0]) / count, float(answer[1])))
            print("{:6d} cases   {:5.0f} ms a case   {:4.0f} MB at most".format(*rows[-1]), flush=True)
    return rows


def one_batch(worklist: str, output: str) -> None:
    """Run one `batch`, after a first case that loads the libraries, and print its processor time and peak memory."""
    from REACTKDLib.__main__ import main

    torch_on_one_thread()
    lines = Path(worklist).read_text().splitlines()
    first = Path(worklist).with_name("first.csv")
    first.write_text("\n".join(lines[:2]))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["batch", "--worklist", str(first), "--output", output + "-first"])
        started = time.process_time()
        main(["batch", "--worklist", worklist, "--output", output])
        spent = time.process_time() - started
    peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    print(spent, int(peak) / 1024)


def draw(lesions: Rows, slices: Rows, cases: Rows, path: Path) -> None:
    """Draw three panels: time against lesions, slices and cases."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = (
        ("lesions", lesions, (("first grade, images encoded", 1), ("after an edit of one", 2)), "ms"),
        ("slices of the CT", slices, (("click to grade", 1),), "ms"),
        ("tiny cases in one batch", cases, (("time for each", 1), ("peak memory", 2)), "ms a case, MB"),
    )
    panels = [panel for panel in panels if panel[1]]
    figure, axes = plt.subplots(1, len(panels), figsize=(3.7 * len(panels), 3.2), layout="constrained", squeeze=False)
    for axis, (name, rows, lines, unit) in zip(axes[0], panels, strict=True):
        for label, column in lines:
            axis.plot([row[0] for row in rows], [row[column] for row in rows], "o-", markersize=4, label=label)
        axis.set(xlabel=name, ylabel=unit, ylim=(0, None))
        if rows is cases:
            axis.set_xscale("log")
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def torch_on_one_thread() -> None:
    """Also limit NumPy's BLAS to one thread, if the library supports it."""
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


def main() -> None:
    """Measure and print."""
    import psutil

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=CASES, help="sizes of the batches")
    parser.add_argument("--draw", type=Path, metavar="PNG", help="draw the figure, too")
    parser.add_argument("--one-batch", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_batch:
        one_batch(*options.one_batch)
        return
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.phantom import acquire, draw_patient
    from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder

    torch_on_one_thread()
    print(f"load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    case = acquire(draw_patient(65, "poor"), "full").case
    grader = Grader(Bundle.load(shipped_bundle_folder()), device="cpu")
    grader.open(case).grade()
    lesions, slices = by_lesions(case, grader), by_slices(case, grader)
    cases = by_cases(options.cases)
    if options.draw:
        draw(lesions, slices, cases, options.draw)


if __name__ == "__main__":
    main()
