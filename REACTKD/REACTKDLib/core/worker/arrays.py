"""Exchange of arrays through files: written in slabs, so that the writer can do other work in between, and
memory-mapped by the reader.

They are written with ordinary writes, not through a memory map, so that a full disk is an error and not a crash.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import HandOverDamaged, NoScratchSpace
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.memory import lacks_memory, out_of_memory
from REACTKDLib.core.text import tr as _

SLAB_BYTES = 8 * 2**20
STEP_VOXELS = 100_000  # voxels of a part per step; writing to new memory pages takes most of the time


def slabs(array: np.ndarray) -> Iterator[slice]:
    """Return slices of the first axis, each of at most about 8 MB."""
    rows = max(1, SLAB_BYTES * array.shape[0] // max(1, array.nbytes))
    return (slice(start, start + rows) for start in range(0, array.shape[0], rows))


def write_slabs(path: Path, array: np.ndarray) -> Generator[None, None, str]:
    """Write `array` as .npy, at most about 8 MB between two yields; return the SHA-256 of what was written after the
    header.

    Raises: NoScratchSpace.
    """
    digest = sha256()
    try:
        with path.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
            np.lib.format.write_array_header_1_0(file, header)
            for rows in slabs(array):
                slab = np.ascontiguousarray(array[rows])
                file.write(slab.data)
                digest.update(slab.data)
                yield
    except OSError as error:
        raise no_space(error) from error
    return digest.hexdigest()


def laid_out(
    part: np.ndarray, box: Box, shape: tuple[int, ...], dtype: np.dtype | type
) -> Generator[None, None, np.ndarray]:
    """Return an array (D, H, W) of zeros that contains `part` in `box`, in steps of about a hundredth of a second.

    Memory pages outside the box are never written and cost nothing.
    """
    array = np.zeros(shape, dtype=dtype)
    rows = max(1, STEP_VOXELS * len(part) // max(1, part.size))
    for start in range(0, len(part), rows):
        slab = part[start : start + rows]
        first = box[0].start + start
        array[first : first + len(slab), box[1], box[2]] = slab
        yield
    return array


def write_array(path: Path, array: np.ndarray) -> None:
    """Write `array` as .npy. Raises: NoScratchSpace."""
    for _slab in write_slabs(path, array):
        pass


def read_array(path: Path) -> np.ndarray:
    """Return the array of a file, mapped read-only. Raises: HandOverDamaged if it is not an array."""
    with _whole():
        return np.load(path, mmap_mode="r", allow_pickle=False)


def write_mask(path: Path, mask: np.ndarray) -> str:
    """Write a bool array of any shape, one bit a voxel, and return the SHA-256 of the bits.

    The shape is sent in the message. Raises: NoScratchSpace.
    """
    packed = np.packbits(mask)
    write_array(path, packed)
    return sha256(packed).hexdigest()


def read_mask(path: Path, shape: tuple[int, ...], expected: str = "") -> np.ndarray:
    """Return the bool array that `write_mask` wrote. expected: the SHA-256 that it returned; "" leaves it unchecked.

    Raises: HandOverDamaged if it differs.
    """
    count = int(np.prod(shape))
    with _whole():
        packed = np.load(path, allow_pickle=False)
        if packed.ndim != 1 or packed.size != -(-count // 8):  # unpackbits would silently pad or cut
            raise ValueError(packed.shape)
        if expected and sha256(packed).hexdigest() != expected:
            raise ValueError(expected)
        return np.unpackbits(packed, count=count).view(bool).reshape(shape)


@contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, EOFError) as error:
        if lacks_memory(error):
            raise out_of_memory() from error
        raise HandOverDamaged(
            _("A file that the panel passed to the grading process is damaged or missing; grade again.")
        ) from error


def no_space(error: OSError) -> NoScratchSpace:
    """Return the error for a temporary folder without space."""
    text = _(
        "The temporary folder cannot be written ({reason}); free some space there, or set "
        "another temporary folder, and grade again."
    )
    return NoScratchSpace(text, reason=error.strerror or _("it may be full"))
