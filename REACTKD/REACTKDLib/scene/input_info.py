"""Describes an input volume for the line below its selector, and checks the choice of volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from REACTKDLib.core.files.image_names import modality_of_name
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.pet_values import infer_pet_unit
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import tr as _
from REACTKDLib.scene.units import stated_unit

_SAMPLE = 200_000  # voxels sampled to infer the unit of a PET


@dataclass(frozen=True)
class VolumeInfo:
    """Properties of a volume.

    size: voxels (i, j, k). spacing: mm (i, j, k). unit: as the node states (UNKNOWN for SUVlbm and other unsupported
    ones), else inferred (stated is then False).
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    unit: Unit
    stated: bool


def volume_info(node: Any, modality: Modality) -> VolumeInfo | None:
    """Return the properties of a volume node, or None if it contains no image."""
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        return None
    unit = stated_unit(node)
    stated = unit is not None
    if modality is Modality.CT and unit in (None, Unit.UNKNOWN):
        unit, stated = Unit.HU, False
    elif not stated and image.GetNumberOfScalarComponents() == 1:
        values = np.ravel(slicer.util.arrayFromVolume(node))
        unit = infer_pet_unit(values[:: max(1, values.size // _SAMPLE)])
    return VolumeInfo(tuple(image.GetDimensions()), tuple(node.GetSpacing()), unit or Unit.UNKNOWN, stated)


def input_findings(volumes: Mapping[Modality, Any]) -> list[Finding]:
    """Return findings on the choice itself: one node chosen twice, or contradicting names."""
    findings = []
    chosen = [(modality, node) for modality, node in volumes.items() if node is not None]
    for index, (modality, node) in enumerate(chosen):
        for other, same in chosen[index + 1 :]:
            if node.GetID() == same.GetID():
                text = _("{image} and {other} are the same image; choose one image for each.")
                findings.append(Finding("same-image-twice", "warning", text, image=ROLES[modality], other=ROLES[other]))
    for modality, node in chosen:
        named = modality_of_name(node.GetName() or "")
        if named is not None and named is not modality:
            text = _("The image that is chosen as {image} is named like {other}; check which is which.")
            findings.append(Finding("named-otherwise", "warning", text, image=ROLES[modality], other=ROLES[named]))
    return findings
