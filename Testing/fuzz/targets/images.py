"""NIfTI, NRRD and MetaImage files, as a CT or as any image. A corrupted stream must never give other voxels."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import numpy as np

from fuzz.mutations import cut, damaged_bytes, damaged_text
from fuzz.targets import Wrong
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.modality import Modality

SUFFIXES = (".nii", ".nii.gz", "-2.nii", ".nrrd", "-raw.nrrd", ".mha", "-raw.mha", ".mhd", ".nhdr")
#: formats whose compressed stream has a checksum
CHECKED = (".nii.gz", "image.nrrd", "image.mha")
MARK = "payload"
_good: dict[str, Path] = {}


def prepare(folder: Path) -> None:
    """Write one small CT in every format."""
    import SimpleITK as sitk

    rng = np.random.default_rng(5)
    array = np.full((14, 16, 18), -1000, np.int16)
    array[3:11, 3:13, 3:15] = rng.normal(60, 40, (8, 10, 12)).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 1.25, 3.0))
    image.SetOrigin((-20.0, 30.0, 100.0))
    for suffix in SUFFIXES:
        home = folder / f"image{suffix}"
        home.mkdir(exist_ok=True)
        path = home / f"image{suffix}"
        packed = suffix in (".nii.gz", ".nrrd", ".mha")
        if suffix == "-2.nii":
            _write_nifti2(array, path)
        else:
            sitk.WriteImage(image, str(path), packed)
        _good[path.name] = home


def _write_nifti2(array: np.ndarray, path: Path) -> None:
    header = np.zeros(540, np.uint8)
    view = memoryview(header)
    import struct

    struct.pack_into("<i8s2h8q", view, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 3, *array.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<8d", view, 104, 1.0, 1.5, 1.25, 3.0, 0, 0, 0, 0)
    struct.pack_into("<q2d", view, 168, 544, 1.0, 0.0)
    struct.pack_into("<2i", view, 344, 0, 1)
    struct.pack_into("<12d", view, 400, -1.5, 0, 0, 20, 0, -1.25, 0, -30, 0, 0, 3, 100)
    path.write_bytes(header.tobytes() + bytes(4) + array.tobytes())


def make(rng: Random, folder: Path) -> Path:
    """Copy a file and corrupt its header or voxels, or truncate it."""
    name = rng.choice(sorted(_good))
    shutil.copytree(_good[name], folder, dirs_exist_ok=True)
    path = folder / name
    data = path.read_bytes()
    end = _header_end(name, data)
    kind = rng.random()
    if kind < 0.1:
        path.write_bytes(cut(data, rng))
    elif kind < 0.3 and any(name.endswith(part) for part in CHECKED):
        path.write_bytes(_flipped(data, 10 if name.endswith(".gz") else end, rng))
        (folder / MARK).touch()
    elif name.endswith((".nii", ".gz")):
        path.write_bytes(damaged_bytes(data, rng, 0, end))
    elif kind < 0.85:
        text = damaged_text(data[:end].decode("latin-1"), rng)
        path.write_bytes(text.encode("utf-8", "replace") + data[end:])
    else:
        path.write_bytes(damaged_bytes(data, rng))
    return path


def _header_end(name: str, data: bytes) -> int:
    if name.endswith((".nii", ".gz")):
        return 352 if "-2" not in name else 544
    if name.endswith((".mhd", ".nhdr")):
        return len(data)
    mark = b"\n\n" if name.endswith("nrrd") else b"LOCAL\n"
    return data.index(mark) + len(mark)


def _flipped(data: bytes, start: int, rng: Random) -> bytes:
    out = bytearray(data)
    out[rng.randrange(start, len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def replay(file: Path, folder: Path) -> Path:
    """A file of a past failure, under its own name."""
    if file.name.endswith((".mhd", ".nhdr")):
        shutil.copytree(_good[f"image{file.suffix}"], folder, dirs_exist_ok=True)
    return Path(shutil.copy(file, folder))


def ask(path: Path) -> str:
    """Read it as a CT, else as any image."""
    try:
        volume = read_volume(path, Modality.CT)
    except ReactkdError:
        volume = read_volume(path)
    if (path.parent / MARK).exists():
        right = read_volume(_good[path.name] / path.name)
        if not np.array_equal(volume.array, right.array):
            raise Wrong(f"{np.mean(volume.array != right.array):.0%} of the voxels differ")
    return f"{volume.array.shape} {volume.array.dtype}"
