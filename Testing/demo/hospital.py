"""The demo's patient: a digital phantom, scanned at full size and written to disk as a hospital would hold it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from REACTKDLib.core.case import Modality
from REACTKDLib.core.files import write_volume
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.segmentation_files import write_segmentation

SEED = 12


@dataclass(frozen=True)
class CaseFiles:
    """Where a case lies on disk. volumes: {Modality: path}. phantom: made by us, so pictures must say it."""

    volumes: dict[Modality, Path]
    segmentation: Path
    case_id: str = "case"
    phantom: bool = False
    liver: str | None = None
    tumors: tuple[str, ...] | None = None


def write_phantom_patient(folder: Path, seed: int = SEED, size: str = "full") -> CaseFiles:
    """Draw the patient of `seed`, scan it, and write CT, both PETs (NIfTI) and the masks (.seg.nrrd) into `folder`."""
    case = acquire(draw_patient(seed), size=size).case
    folder.mkdir(parents=True, exist_ok=True)
    volumes = {
        modality: write_volume(volume, folder / f"{modality.value.upper()}.nii.gz")
        for modality, volume in case.volumes.items()
    }
    masks = [("Liver", "liver", case.liver), ("Tumor", "tumor", case.tumor)]
    segmentation = write_segmentation(masks, case.reference.ijk_to_ras, folder / "segmentation.seg.nrrd")
    return CaseFiles(volumes, segmentation, case.id, phantom=True)
