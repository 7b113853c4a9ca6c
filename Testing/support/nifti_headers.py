"""NIfTI headers with contradictory sizes or positions, made from a valid file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from support.case_files import patched_nifti

PIXDIM, CODES, SROW = 80, 252, 280


def nifti_with(
    volume: Volume,
    path: Path,
    *,
    codes: tuple[int, int] = (1, 1),
    pixdim_times: tuple[float, float, float] = (1, 1, 1),
    sform: np.ndarray | None = None,
) -> Path:
    """Write `volume` as .nii with other codes (qform, sform), scaled pixdim, and the rows of another sform (4, 4)."""
    data = write_volume(volume, path).read_bytes()
    sizes = np.array(struct.unpack_from("<3f", data, PIXDIM)) * pixdim_times
    changes = [(PIXDIM, "3f", sizes), (CODES, "2h", codes)]
    if sform is not None:
        changes.append((SROW, "12f", sform[:3].ravel()))
    path.write_bytes(patched_nifti(data, changes))
    return path


def sheared(matrix: np.ndarray, cosine: float) -> np.ndarray:
    """Return a (4, 4) matrix whose second axis leans towards the first by `cosine`."""
    out = matrix.copy()
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    out[:3, 1] += matrix[:3, 0] / lengths[0] * lengths[1] * cosine
    return out


def nifti2(volume: Volume, path: Path, order: str = "<") -> Path:
    """Write `volume`, of int16, as NIfTI-2 with a sform."""
    header = bytearray(544)
    struct.pack_into(order + "i8s2h8q", header, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 3, *volume.shape[::-1], 1, 1, 1, 1)
    struct.pack_into(order + "4d", header, 104, 1.0, *volume.spacing)
    struct.pack_into(order + "q2d", header, 168, 544, 1.0, 0.0)
    struct.pack_into(order + "2i", header, 344, 0, 1)
    struct.pack_into(order + "12d", header, 400, *volume.ijk_to_ras[:3].ravel())
    path.write_bytes(bytes(header) + volume.array.astype(order + "i2").tobytes())
    return path
