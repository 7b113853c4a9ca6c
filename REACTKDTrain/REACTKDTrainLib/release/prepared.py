"""Phantom patients prepared once for training: images in the liver box, soft regions and shells, topology, truth.

A CT is drawn at the scanner's own resolution around the liver only, then goes through the very `Preparation` that a
reader's case goes through, so nothing here is a shortcut that the network could tell from a real acquisition.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.masks.shells import shell_occupancy
from REACTKDLib.core.masks.topology import topology_descriptors
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.student.prepare import Preparation
from REACTKDLib.core.writing.atomic import written_beside

_PAD = 10  # voxels around the liver: the reach of the widest band


@dataclass(frozen=True, eq=False)
class SoftMask:
    """weights: (..., d, h, w) uint8, 255 is full; start: (3,) its first voxel in the stored box."""

    weights: np.ndarray
    start: np.ndarray


def _soft(weights: np.ndarray) -> SoftMask:
    """Cut the smallest box out of soft masks (n, D, H, W)."""
    box = bounding_box((weights > 0).any(axis=0)) or (slice(0, 1),) * 3
    cut = np.rint(255 * np.clip(weights[(slice(None), *box)], 0, 1)).astype(np.uint8)
    return SoftMask(cut, np.array([s.start for s in box], dtype=np.int32))


def prepare_patient(seed: int, cohort: str, preparation: Preparation) -> dict[str, np.ndarray]:
    """Draw, scan and prepare one patient; return arrays ready for `numpy.savez`."""
    patient = draw_patient(seed, cohort=cohort)
    case = acquire(patient, "full", around_liver_mm=26.0).case
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    prepared = preparation(case)
    occupancy = regions.occupancy(prepared.grid)
    box = bounding_box(occupancy.sum(axis=0) > 0)
    box = tuple(
        slice(max(s.start - _PAD, 0), min(s.stop + _PAD, n)) for s, n in zip(box, prepared.grid.shape, strict=True)
    )
    inner = (slice(None), *box)
    arrays = {
        "images": np.stack([prepared.images[m][box] for m in Modality if m in prepared.images]).astype(np.float16),
        "parenchyma": np.rint(255 * np.clip(occupancy[0][box], 0, 1)).astype(np.uint8),
        "topology": topology_descriptors(regions).values,
        "grade": np.int64(patient.grade),
        "seed": np.int64(seed),
        "latents": np.array(list(asdict(patient.latents).values()), dtype=np.float64),
        "volumes_ml": np.array([r.volume_ml for r in regions.regions]),
    }
    for n in range(1, len(regions.regions)):
        weights = np.concatenate([occupancy[n : n + 1][inner], shell_occupancy(regions, n, prepared.grid)[inner]])
        soft = _soft(weights)
        arrays[f"lesion{n}"], arrays[f"start{n}"] = soft.weights, soft.start
    return arrays


def prepared_file(folder: Path, seed: int) -> Path:
    """Where patient `seed` is kept."""
    return folder / f"{seed // 1000:02d}" / f"{seed:05d}.npz"


def prepare_cohort(folder: Path, seeds: range, cohort: str = "large") -> None:
    """Prepare patients that are not there yet; each file appears whole or not at all."""
    preparation = Preparation()
    for n, seed in enumerate(seeds):
        path = prepared_file(folder, seed)
        if not path.exists():
            with written_beside(path) as beside:
                np.savez(beside, **prepare_patient(seed, cohort, preparation))
        if n % 50 == 49:
            print(f"prepared {n + 1} of {len(seeds)}", file=sys.stderr, flush=True)


def main() -> None:
    """`python -m REACTKDTrainLib.release.prepared FOLDER FIRST LAST [STEP]`: prepare patients of the large cohort."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("step", type=int, nargs="?", default=1)
    options = parser.parse_args()
    prepare_cohort(options.folder, range(options.first, options.last, options.step))


if __name__ == "__main__":
    main()
