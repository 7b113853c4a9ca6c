"""The images that a case may have, in the order of reports, and what each is called in messages."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class Modality(str, Enum):
    """What was imaged; the order is that of reports and of the choice of the reference grid."""

    CT = "ct"
    FDG = "fdg"
    ACETATE = "acetate"


#: never an image's path or node name, which may hold a patient's name
ROLES: Mapping[Modality | None, str] = MappingProxyType(
    {
        Modality.CT: "the CT",
        Modality.FDG: "the FDG PET",
        Modality.ACETATE: "the acetate PET",
        None: "the image",
    }
)
SEGMENTATION_ROLE = "the segmentation"
