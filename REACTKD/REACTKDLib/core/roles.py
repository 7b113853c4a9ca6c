"""What an image is called in messages: its role, never its path or node name, which may hold a patient's name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from REACTKDLib.core.case import Modality

ROLES: Mapping[Modality | None, str] = MappingProxyType(
    {
        Modality.CT: "the CT",
        Modality.FDG: "the FDG PET",
        Modality.ACETATE: "the acetate PET",
        None: "the image",
    }
)
SEGMENTATION_ROLE = "the segmentation"
