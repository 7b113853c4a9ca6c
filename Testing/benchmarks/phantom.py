"""Time to generate a phantom: seconds on one core for a full-size patient, and for the liver region only.

    python Testing/benchmarks/phantom.py            # REACTKD on the path, OMP_NUM_THREADS=1

A patient is generated and scanned with CT and both PETs; the region is what training uses, the liver and 26 mm around
it. The minimum process time of several repeats is used, to reduce the influence of other load.
"""

from __future__ import annotations

import time

from REACTKDLib.core.phantom import acquire, draw_patient

SEEDS = (11, 12, 13)


def seconds(biology: str, around_mm: float | None, cohort: str, repeats: int = 3) -> float:
    """Return the mean over patients of the minimum process time."""
    total = 0.0
    for seed in SEEDS:
        least = []
        for _ in range(repeats):
            start = time.process_time()
            acquire(draw_patient(seed, cohort=cohort, biology=biology), "full", around_liver_mm=around_mm)
            least.append(time.process_time() - start)
        total += min(least)
    return total / len(SEEDS)


def main() -> None:
    """Print a line for each case."""
    for biology in ("shared", "independent"):
        for name, around in (("whole patient", None), ("liver region", 26.0)):
            for cohort, images in (("large", "CT and both PET"), ("unlabeled", "CT")):
                print(f"{biology:12} {name:14} {images:16} {seconds(biology, around, cohort):.2f} s", flush=True)


if __name__ == "__main__":
    main()
