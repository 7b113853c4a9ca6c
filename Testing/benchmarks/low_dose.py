#!/usr/bin/env python3
"""Low-dose CT against full simulation: project, add noise, reconstruct, with ASTRA (CPU, linear) and scikit-image.

    python Testing/benchmarks/low_dose.py [--rounds 8] [--threads 1]

One process. Each round times our simulator on 32 slices of 512x512 and the others on one slice each, alternately, so
that load affects all of them; the ratio is computed within a round, and the median over rounds is reported. Ours does
less by design: it neither projects at full resolution nor reconstructs the anatomy. Status 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
for part in ("REACTKD", "REACTKDTrain", "Testing"):
    sys.path.insert(0, str(REPOSITORY / part))

SLICES, SIZE, VIEWS, BINS = 32, 512, 720, 768
SPACING_MM, THICKNESS_MM, DOSE = 0.703125, 2.5, 0.25
MU_WATER, I0 = 0.0193, 1.83e6
TARGETS = {"ASTRA CPU linear": 30.0, "scikit-image": 90.0}


def load_slices() -> tuple[np.ndarray, str]:
    """Return (32, 512, 512) int16 HU: the real abdomen if available, else a digital one."""
    import pytest

    from support.ct_objects import body
    from support.real_data import hcc_tace_048

    try:
        return np.ascontiguousarray(hcc_tace_048().array[20 : 20 + SLICES]), "real CT (HCC-TACE-Seg HCC_048)"
    except pytest.skip.Exception:
        return body(SIZE, SPACING_MM, SLICES).astype(np.int16), "digital abdomen"


def line_attenuation(hu: np.ndarray) -> np.ndarray:
    """Return the attenuation per pixel of one slice."""
    return np.clip(MU_WATER * SPACING_MM * (1 + hu.astype(np.float32) / 1000), 0, None)


def low_dose_counts(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return Poisson counts at the dose, converted back to line integrals."""
    return -np.log(np.maximum(rng.poisson(DOSE * I0 * np.exp(-p)), 1.0) / (DOSE * I0))


def with_astra() -> Callable[[np.ndarray], np.ndarray]:
    """Project, add noise, FBP, by ASTRA's linear projector on the CPU."""
    import astra

    volume = astra.create_vol_geom(SIZE, SIZE)
    rays = astra.create_proj_geom("parallel", 1.0, BINS, np.arange(VIEWS) * np.pi / VIEWS)
    projector = astra.create_projector("linear", rays, volume)
    rng = np.random.default_rng(0)

    def simulate(hu: np.ndarray) -> np.ndarray:
        data, p = astra.create_sino(line_attenuation(hu), projector)
        noisy = astra.data2d.create("-sino", rays, low_dose_counts(p, rng))
        image = astra.data2d.create("-vol", volume)
        settings = astra.astra_dict("FBP")
        settings.update(ReconstructionDataId=image, ProjectionDataId=noisy, ProjectorId=projector)
        settings["option"] = {"FilterType": "Hann"}
        algorithm = astra.algorithm.create(settings)
        astra.algorithm.run(algorithm)
        result = astra.data2d.get(image)
        astra.algorithm.delete(algorithm)
        astra.data2d.delete([data, noisy, image])
        return result

    return simulate


def with_scikit_image() -> Callable[[np.ndarray], np.ndarray]:
    """Project, add noise, FBP, by `radon` and `iradon`."""
    from skimage.transform import iradon, radon

    theta, rng = np.arange(VIEWS) * 180.0 / VIEWS, np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    disc = x**2 + y**2 <= (SIZE // 2) ** 2  # less work than the square, and the part that a scanner shows

    def simulate(hu: np.ndarray) -> np.ndarray:
        p = radon(line_attenuation(hu) * disc, theta=theta, circle=True)
        noisy = low_dose_counts(p, rng)
        return iradon(noisy, theta=theta, filter_name="hann", circle=True)

    return simulate


def clock(task: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def megabytes() -> tuple[float, float]:
    """Return resident memory, current and peak, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> int:
    """Run, print the table, return the exit status."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=8)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    import torch

    from REACTKDTrainLib.low_dose.simulator import LowDoseCT

    torch.set_num_threads(chosen.threads)
    hu, what = load_slices()
    start, _ = megabytes()
    build = clock(lambda: LowDoseCT(size=SIZE, views=VIEWS))
    simulator = LowDoseCT(size=SIZE, views=VIEWS)
    simulator(hu, SPACING_MM, THICKNESS_MM, DOSE)
    now, peak = megabytes()
    print(f"{SLICES} slices of {SIZE}x{SIZE}, {VIEWS} views, {chosen.threads} thread(s), {what}")
    print(f"memory above imports and data: peak +{peak - start:.0f} MB, after +{now - start:.0f} MB")
    print(f"matrices: {build:.2f} s, once for each slice size")
    others = {"ASTRA CPU linear": with_astra(), "scikit-image": with_scikit_image()}
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in others}
    for turn in range(chosen.rounds):
        ours.append(clock(lambda turn=turn: simulator(hu, SPACING_MM, THICKNESS_MM, DOSE, seed=turn)) / SLICES)
        for name, simulate in others.items():
            theirs[name].append(clock(lambda turn=turn, run=simulate: run(hu[turn % SLICES])))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {chosen.rounds} rounds; medians for a slice:")
    print(f"  {'this simulator':18s} {statistics.median(ours) * 1e3:8.1f} ms (best {min(ours) * 1e3:.1f})")
    missed = False
    for name, times in theirs.items():
        ratio = statistics.median(other / own for own, other in zip(ours, times))
        missed |= ratio < TARGETS[name]
        verdict = "met" if ratio >= TARGETS[name] else "MISSED"
        shown = f"{statistics.median(times) * 1e3:8.1f} ms, {ratio:.0f} times as long"
        print(f"  {name:18s} {shown} (target {TARGETS[name]:.0f}: {verdict})")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
