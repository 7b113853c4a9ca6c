"""What the DICOM files behind a PET node say of it, while Slicer's DICOM database still knows them."""

from __future__ import annotations

from typing import Any

import slicer

from REACTKDLib.core.files.dicom import loaded_pet
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.units import stated_unit


def understood(node: Any, volume: Volume, modality: Modality) -> tuple[Volume, list[Finding]]:
    """Return a PET volume read from `node` in SUVbw if that can be known, else in its own unit; and findings.

    Raises: WrongTracer when the files state another tracer; PetUnitRefused for units that mean no uptake.
    """
    return loaded_pet.understood(volume, stated_unit(node), files_of(node), modality)


def files_of(node: Any) -> list[str]:
    """Return the files that a node was loaded from, one for each slice; none when any is unknown to the database."""
    database = getattr(slicer, "dicomDatabase", None)
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is None or not uids:
        return []
    files = [database.fileForInstance(uid) for uid in uids]
    return files if all(files) else []
