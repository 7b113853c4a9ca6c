"""Fingerprints of a generated phantom: a hash of all bits, and sums that rounding does not change.

python -m support.drawn_phantoms stored.json    # prints a JSON list: the hash of each phantom in the file
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.phantom.acquire import PhantomCase

_MARKS = 3


def drawn(stored: dict) -> PhantomCase:
    """Return the phantom that an entry of the file describes."""
    patient = draw_patient(stored["seed"], stored["grade"], stored["cohort"], biology=stored["biology"])
    return acquire(patient, stored["size"], around_liver_mm=stored["around_liver_mm"])


def digest(phantom: PhantomCase) -> str:
    """Return a hash of every voxel, every geometry and the ground truth."""
    found = hashlib.sha256()
    for modality, volume in phantom.case.volumes.items():
        found.update(f"{modality.value}{volume.array.dtype}".encode() + volume.array.tobytes())
        found.update(np.ascontiguousarray(volume.ijk_to_ras).tobytes())
    for mask in (phantom.case.liver, phantom.case.tumor):
        found.update(np.packbits(mask).tobytes())
    found.update(json.dumps(phantom.truth, sort_keys=True).encode())
    return found.hexdigest()[:32]


def _numbers(value) -> Iterator[float]:
    """Yield all numbers of nested lists and dictionaries, in the order of the keys."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _numbers(value[key])
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float):
        yield float(value)


def _sums(values) -> list[float]:
    """Sums of all values with random signs, divided by the root of their count: as large as one value if all change."""
    values = np.asarray(values, dtype=np.float64).ravel()
    signs = np.random.default_rng(7)
    return [
        float(values @ (2.0 * signs.integers(0, 2, values.size, dtype=np.int8) - 1) / np.sqrt(values.size))
        for _ in range(_MARKS)
    ]


def marks(phantom: PhantomCase) -> dict[str, list[float]]:
    """Sums for each image, mask, geometry and the ground truth. Another draw of the noise changes those of an image by
    the noise itself; one voxel in 10,000 that rounds to another HU changes them by 0.01.
    """
    case = phantom.case
    parts = {modality.value: volume.array for modality, volume in case.volumes.items()}
    parts |= {f"{modality.value} geometry": volume.ijk_to_ras for modality, volume in case.volumes.items()}
    parts |= {"liver": case.liver, "tumor": case.tumor, "truth": list(_numbers(phantom.truth))}
    return {name: _sums(values) for name, values in parts.items()}


if __name__ == "__main__":
    print(json.dumps([digest(drawn(one)) for one in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))]))
