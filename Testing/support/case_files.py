"""Writes a case to files, and makes single files invalid."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.modality import Modality

NAMES = {Modality.CT: "CT.nii.gz", Modality.FDG: "FDG.nii.gz", Modality.ACETATE: "ACETATE.nii.gz"}
SEGMENTATION = "segmentation.seg.nrrd"


def write_case(case: Case, folder: Path) -> Path:
    """Write the images and a segmentation with segments Liver and Tumor into `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for modality, volume in case.volumes.items():
        write_volume(volume, folder / NAMES[modality])
    write_masks(case.liver, case.tumor, case.reference.ijk_to_ras, folder / SEGMENTATION)
    return folder


def write_masks(liver: np.ndarray, tumor: np.ndarray, ijk_to_ras: np.ndarray, path: Path) -> Path:
    """Write a segmentation with segments Liver and Tumor."""
    return write_segmentation([("Liver", "liver", liver), ("Tumor", "tumor", tumor)], ijk_to_ras, path)


def patched_nifti(source: bytes, changes: Sequence[tuple[int, str, Sequence[float]]]) -> bytes:
    """Return an uncompressed little-endian NIfTI with header fields overwritten: (offset, struct format, values)."""
    data = bytearray(source)
    for offset, form, values in changes:
        struct.pack_into("<" + form, data, offset, *values)
    return bytes(data)


def case_arguments(folder: Path, *modalities: Modality) -> list[str]:
    """Return the command-line arguments for the case in `folder`, with all its images or those named."""
    arguments = []
    for modality in modalities or tuple(Modality):
        if (folder / NAMES[modality]).exists():
            arguments += [f"--{modality.value}", str(folder / NAMES[modality])]
    return [*arguments, "--segmentation", str(folder / SEGMENTATION)]
