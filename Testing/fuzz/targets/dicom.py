"""Series of CT and PET, and a SEG that refers to the CT."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import numpy as np
import pydicom

from fuzz.mutations import NUMBERS, WORDS, cut, damaged_bytes
from REACTKDLib.core.cases.open_case import read_any_segmentation
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.modality import Modality
from support.dicom_files import pet_tags, write_seg, write_series

_good: dict[str, Path] = {}


def prepare(folder: Path) -> None:
    """Write eight slices of each series."""
    rng = np.random.default_rng(3)
    stored = np.full((8, 24, 24), -1000, np.int16)
    stored[:, 4:20, 4:20] = rng.normal(60, 30, (8, 16, 16))
    ct = write_series(folder / "ct", stored)
    write_series(
        folder / "fdg", rng.integers(0, 3000, (8, 24, 24)).astype(np.int16), modality="PT", slope=2.5, common=pet_tags()
    )
    mask = np.zeros(stored.shape, bool)
    mask[2:6, 6:16, 6:16] = True
    write_seg(folder / "seg" / "seg.dcm", ct, {"Liver": mask, "Mass": mask & (stored > 80)})
    _good.update({name: folder / name for name in ("ct", "fdg", "seg")})


def make(rng: Random, folder: Path) -> Path:
    """Corrupt the bytes or elements of one file, or one element in all files."""
    name = rng.choice(("ct", "ct", "fdg", "fdg", "seg"))
    home = folder / name
    shutil.copytree(_good[name], home)
    files = sorted(home.iterdir())
    kind = rng.random()
    if kind < 0.1:
        file = rng.choice(files)
        file.write_bytes(cut(file.read_bytes(), rng))
    elif kind < 0.45:
        file = rng.choice(files)
        data = file.read_bytes()
        file.write_bytes(damaged_bytes(data, rng, 0, rng.choice((len(data), 1200))))
    else:
        _damage_element(files if kind < 0.7 else [rng.choice(files)], rng)
    return home


def _damage_element(files: list[Path], rng: Random) -> None:
    first = pydicom.dcmread(files[0])
    tag = rng.choice([element.tag for element in first if element.tag != 0x7FE00010])
    word = None if rng.random() < 0.35 else rng.choice((*NUMBERS, *WORDS))
    for file in files:
        dataset = pydicom.dcmread(file)
        if tag not in dataset:
            continue
        if word is None:
            del dataset[tag]
        else:
            element = dataset[tag]
            try:
                element.value = [word] * max(1, element.VM) if element.VM > 1 else word
            except Exception:
                del dataset[tag]
        try:
            dataset.save_as(file)
        except Exception:  # pydicom cannot write every value; then the bytes are corrupted instead
            file.write_bytes(damaged_bytes(file.read_bytes(), rng))


def replay(file: Path, folder: Path) -> Path:
    """Replace the fourth file of a series by one of a past failure; its name starts with that of the series."""
    name = file.name.partition("-")[0]
    shutil.copytree(_good[name], folder / name)
    files = sorted((folder / name).iterdir())
    shutil.copy(file, files[min(3, len(files) - 1)])
    return folder / name


def ask(path: Path) -> str:
    """Read the series by its modality."""
    if path.name == "seg":
        return " ".join(segment.name for segment in read_any_segmentation(path).segments)
    volume = read_dicom_volume(path, Modality(path.name))[0]
    return f"{volume.array.shape} {volume.unit}"
