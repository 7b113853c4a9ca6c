"""A hash of a scan's voxels that does not depend on its file, to recognize a scan that was saved in another format."""

from __future__ import annotations

import hashlib

import numpy as np

from REACTKDLib.core.images.case import Case

_DROPPED_BITS = np.uint32(16)  # of a float32; sign, exponent and 7 bits of the mantissa remain


def scan_contents(case: Case) -> dict[str, str]:
    """Return modality -> `scan_content` of each image of an opened case; empty images are omitted."""
    found = {modality.value: scan_content(volume.array) for modality, volume in case.volumes.items()}
    return {name: content for name, content in found.items() if content}


def scan_content(array: np.ndarray) -> str:
    """Return the hash of the histogram and the shape of a volume (k, j, i), "" if all voxels are equal.

    Other formats may store the axes in another order or direction, so neither the places of voxels nor the order of the
    shape counts. Two scans of a scanner never have the same histogram, because of their noise.
    """
    if array.size == 0 or array.min() == array.max():  # an empty placeholder: many patients may have it
        return ""
    counts = np.zeros(1 << 16, dtype="<i8")
    for plane in array:  # one at a time, for the memory
        values = plane.astype(np.float32) + np.float32(0)  # -0 becomes 0
        counts += np.bincount(values.ravel().view(np.uint32) >> _DROPPED_BITS, minlength=len(counts))
    shape = np.array(sorted(array.shape), dtype="<i8")
    return hashlib.sha256(counts.tobytes() + shape.tobytes()).hexdigest()
