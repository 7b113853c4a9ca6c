"""Segmentation files and label maps, and the choice of liver and tumor in them."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import numpy as np

from fuzz.mutations import cut, damaged_bytes, damaged_text
from fuzz.targets import Wrong
from REACTKDLib.core.cases.open_case import read_any_segmentation
from REACTKDLib.core.files.recognition import choose
from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Unit, Volume

MARK = "payload"
_good: dict[str, Path] = {}
_masks: dict[str, np.ndarray] = {}


def prepare(folder: Path) -> None:
    """Write a `.seg.nrrd`, a label map, and a file as from Slicer 4.10, with one frame per segment."""
    liver = np.zeros((14, 16, 18), bool)
    liver[3:11, 3:13, 3:15] = True
    tumor = np.zeros_like(liver)
    tumor[5:8, 5:8, 5:9] = True
    matrix = np.diag([1.5, 1.25, 3.0, 1.0])
    _good["new.seg.nrrd"] = write_segmentation(
        [("Liver", "liver", liver), ("Tumor", "tumor", tumor)], matrix, folder / "new.seg.nrrd"
    )
    labels = liver.astype(np.uint8) + tumor
    _good["labels.nii.gz"] = write_volume(Volume(labels, matrix, Unit.UNKNOWN, ""), folder / "labels.nii.gz")
    _good["labels.nrrd"] = write_volume(Volume(labels, matrix, Unit.UNKNOWN, ""), folder / "labels.nrrd")
    _masks.update(liver=liver, tumor=tumor)


def make(rng: Random, folder: Path) -> Path:
    """Corrupt a header, including names and tags, or one bit of the compressed voxels."""
    name = rng.choice(sorted(_good))
    path = Path(shutil.copy(_good[name], folder))
    data = path.read_bytes()
    kind = rng.random()
    if kind < 0.1:
        path.write_bytes(cut(data, rng))
    elif name.endswith(".gz"):
        path.write_bytes(damaged_bytes(data, rng))
    else:
        end = data.index(b"\n\n") + 2
        if kind < 0.35:
            out = bytearray(data)
            out[rng.randrange(end, len(out))] ^= 1 << rng.randrange(8)
            path.write_bytes(out)
            (folder / MARK).touch()
        else:
            path.write_bytes(damaged_text(data[:end].decode(), rng).encode("utf-8", "replace") + data[end:])
    return path


def replay(file: Path, folder: Path) -> Path:
    """A file of a past failure."""
    return Path(shutil.copy(file, folder))


def ask(path: Path) -> str:
    """Read it, choose segments, and extract the masks."""
    file = read_any_segmentation(path)
    choice = choose([segment.candidate for segment in file.segments], None, None)
    liver, tumor = file.mask(choice.livers), file.mask(choice.tumors)
    if (path.parent / MARK).exists():
        right = (_masks["liver"] | _masks["tumor"], _masks["tumor"])
        if not (np.array_equal(liver | tumor, right[0]) and np.array_equal(tumor, right[1])):
            raise Wrong("a flipped bit gave other masks")
    return f"{int(liver.sum())} {int(tumor.sum())}"
