#!/usr/bin/env python3
"""Draw docs/pictures/low_dose.jpg: one slice of a real CT at native dose, 1/4, 1/10 and 1/20.

    python Testing/tools/draw_low_dose.py [--slice 62] [--output docs/pictures/low_dose.jpg]

Needs the CT `hcc_tace_048` (HCC-TACE-Seg, CC BY 4.0) in $REACTKD_REAL_DATA. The photon budget is fitted to the scan.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
for part in ("REACTKD", "REACTKDTrain", "Testing"):
    sys.path.insert(0, str(REPOSITORY / part))

DOSES = (("native", 1.0), ("1/4", 0.25), ("1/10", 0.1), ("1/20", 0.05))
WINDOW_HU = (-160, 240)
NEIGHBORS = 8
"""Number of slices on either side that are also used to fit the photon budget."""


def panels(chosen: int, calibrate: bool) -> list[tuple[str, np.ndarray]]:
    """Return captions and HU slices, cropped to the body."""
    from REACTKDTrainLib.low_dose.calibration import soft_tissue
    from REACTKDTrainLib.low_dose.volumes import Scan, Simulators
    from support.real_data import hcc_tace_048

    scan = Scan.of(hcc_tace_048())
    simulator = Simulators().of(scan)
    part = scan.hu[max(0, chosen - NEIGHBORS) : chosen + NEIGHBORS + 1]
    i0 = simulator.calibrate(part, scan.spacing_mm, scan.thickness_mm) if calibrate else None
    hu = scan.hu[chosen : chosen + 1]
    even, body = soft_tissue(hu), hu[0] > -300
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    drawn = []
    for name, dose in DOSES:
        low = simulator(hu, scan.spacing_mm, scan.thickness_mm, dose, i0=i0, first_slice=chosen)
        added = (low - hu)[even].std()
        drawn.append((name if dose == 1 else f"{name}: +{added:.0f} HU", low[0][box]))
    return drawn


def main() -> int:
    """Draw and save the picture."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--slice", type=int, default=62)
    options.add_argument("--default-budget", action="store_true", help="do not fit the photon budget to the scan")
    options.add_argument("--output", type=Path, default=REPOSITORY / "docs" / "pictures" / "low_dose.jpg")
    chosen = options.parse_args()
    from PIL import Image, ImageDraw, ImageFont

    low, high = WINDOW_HU
    drawn = panels(chosen.slice, not chosen.default_budget)
    height, width = drawn[0][1].shape
    gap = 6
    canvas = Image.new("L", (2 * width + gap, 2 * height + gap), 255)
    font = ImageFont.load_default(size=20)
    for i, (caption, hu) in enumerate(drawn):
        gray = np.clip((hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        panel = Image.fromarray(gray)
        ImageDraw.Draw(panel).text((8, 6), caption, fill=255, font=font, stroke_width=2, stroke_fill=0)
        canvas.paste(panel, (i % 2 * (width + gap), i // 2 * (height + gap)))
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(chosen.output, quality=82)
    print(f"{chosen.output.name}: {chosen.output.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
