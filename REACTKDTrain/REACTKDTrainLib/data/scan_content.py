"""A hash of a scan's voxels that does not depend on its file, to recognize a scan that was saved in another format."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from REACTKDLib.core.images.case import Case
from REACTKDTrainLib.cohorts.base import CohortCase

#: odd numbers of the finalizer of splitmix64, which spreads each voxel's bits over 64
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)


def scan_contents(case: Case) -> dict[str, str]:
    """Return modality -> `scan_content` of each image of an opened case; empty images are omitted."""
    found = {modality.value: scan_content(volume.array) for modality, volume in case.volumes.items()}
    return {name: content for name, content in found.items() if content}


def known_scans(recorded: Mapping[str, str], case: CohortCase) -> Mapping[str, str]:
    """Return the `scan_contents` of a case, from its images if nothing is recorded, as by an earlier release.

    Phantoms are not drawn again for this: their numbers tell them apart. Raises: see `CohortCase.load`.
    """
    return recorded if recorded or case.truth is not None else scan_contents(case.load())


def scan_content(array: np.ndarray) -> str:
    """Return the hash of the voxels and the shape of a volume (k, j, i), "" if all voxels are equal.

    Other formats may store the axes in another order or direction, so neither the places of voxels nor the order of the
    shape counts: the sum of a hash of each voxel (as a float32) does not depend on them. Two scans of a scanner never
    have the same voxels, because of their noise.
    """
    if array.size == 0 or array.min() == array.max():  # an empty placeholder: many patients may have it
        return ""
    total = np.uint64(0)
    with np.errstate(over="ignore"):  # sums and products are modulo 2^64
        for plane in array:  # one at a time, for the memory
            values = plane.astype(np.float32) + np.float32(0)  # -0 becomes 0
            mixed = (values.ravel().view(np.uint32).astype(np.uint64) + _FACTORS[0]) * _FACTORS[1]
            mixed = (mixed ^ (mixed >> np.uint64(27))) * _FACTORS[2]
            total += (mixed ^ (mixed >> np.uint64(31))).sum(dtype=np.uint64)
    return hashlib.sha256(f"{total} {sorted(array.shape)}".encode()).hexdigest()
