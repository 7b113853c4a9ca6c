"""The demo's patient: a digital phantom, scanned at full size and stored on disk as in a hospital."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from REACTKDLib.commands.phantom import FILES, SEGMENTATION, write_phantom
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom import acquire, draw_patient

SEED, GRADE = 1661, "poor"  # shared biology, two lesions, of which the larger one decides


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case. phantom: whether it is synthetic, which pictures must state. truth: its grade if known.

    liver, tumors: segments by name or label; None leaves the choice to automatic recognition.
    """

    volumes: dict[Modality, Path]
    segmentation: Path
    case_id: str | None = None
    phantom: bool = False
    truth: str | None = None
    liver: str | None = None
    tumors: tuple[str, ...] | None = None


def write_patient(folder: Path, seed: int = SEED, size: str = "full") -> CaseFiles:
    """Draw the poorly differentiated patient `seed`, scan it, and write CT, PETs (NIfTI), masks and truth."""
    phantom = acquire(draw_patient(seed, GRADE), size=size)
    folder.mkdir(parents=True, exist_ok=True)
    write_phantom(phantom, folder)
    volumes = {modality: folder / FILES[modality.value] for modality in phantom.case.modalities}
    return CaseFiles(volumes, folder / SEGMENTATION, phantom.case.id, phantom=True, truth=phantom.truth["grade"])
