#!/usr/bin/env python3
"""The photon budget that is fitted to simulated scans, as a share of the true one.

    python Testing/benchmarks/photon_budget.py

Abdomens of 16 digital phantoms and a water cylinder get the simulator's own noise at 0.25, 0.5, 1 and 3 times the
default photons, on the grid of a hospital's CT (512 x 512 pixels of 0.8 mm) and on a coarse one (256 x 256 of 1.6 mm).
About five minutes on one core.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
for part in ("REACTKD", "REACTKDTrain", "Testing"):
    sys.path.insert(0, str(REPOSITORY / part))

GRIDS = ((512, 0.8, 720), (256, 1.6, 360))  # pixels, mm, views
FACTORS, PHANTOMS, SEED = (0.25, 0.5, 1.0, 3.0), range(3, 19), 12
SLICES, APART, THICKNESS_MM = 6, 6, 2.5


def abdomen(number: int, size: int, spacing_mm: float) -> np.ndarray:
    """(6, size, size) HU of a phantom without noise: every sixth slice around the middle of the liver's box."""
    from REACTKDLib.core.phantom.acquire import ct_lattice
    from REACTKDLib.core.phantom.ct_scanner import draw_ct_protocol
    from REACTKDLib.core.phantom.fields import ct_field
    from REACTKDLib.core.phantom.lattice import Lattice
    from REACTKDLib.core.phantom.patient import draw_patient

    patient = draw_patient(number)
    lattice = ct_lattice(patient, draw_ct_protocol(np.random.default_rng(0), "hospital"), "full")
    x, y = (axis.mean() + spacing_mm * (np.arange(size) - (size - 1) / 2) for axis in (lattice.x, lattice.y))
    first = len(lattice.z) // 2 - SLICES * APART // 2
    return ct_field(patient, Lattice(x, y, lattice.z[first : first + SLICES * APART : APART]), 1.5)


def main() -> None:
    """Measure, and print least, median and largest share of each kind of body."""
    import torch

    from REACTKDTrainLib.low_dose.simulator import LowDoseCT
    from support.ct_objects import water_cylinder

    torch.set_num_threads(1)
    for size, spacing_mm, views in GRIDS:
        simulator, place = LowDoseCT(size=size, views=views), {"spacing_mm": spacing_mm, "thickness_mm": THICKNESS_MM}
        default = simulator.budget(**place).i0

        def shares(hu: np.ndarray, simulator=simulator, place=place, default=default) -> list[float]:
            noisy = (hu + sum(simulator.fields(hu, **place, seed=SEED, i0=f * default)) for f in FACTORS)
            return [simulator.calibrate(image, **place) / (f * default) for f, image in zip(FACTORS, noisy)]

        phantoms = [share for number in PHANTOMS for share in shares(abdomen(number, size, spacing_mm))]
        for name, found in (("phantoms", phantoms), ("water", shares(water_cylinder(size, spacing_mm, SLICES)))):
            share = f"{min(found):.2f} to {max(found):.2f} of the photons, median {statistics.median(found):.2f}"
            print(f"{size} x {size} of {spacing_mm} mm, {len(found)} scans, {name}: {share}", flush=True)


if __name__ == "__main__":
    main()
