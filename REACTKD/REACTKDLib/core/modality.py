"""The modalities of a case in the order of reports, their names in messages, and subsets of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import combinations
from types import MappingProxyType

from REACTKDLib.core.text import tr as _


class Modality(str, Enum):
    """The modality of an image. The order is used in reports and for choosing the reference grid."""

    CT = "ct"
    FDG = "fdg"
    ACETATE = "acetate"


#: names for messages; never the path or node name of an image, which may contain a patient's name
ROLES: Mapping[Modality | None, str] = MappingProxyType(
    {
        Modality.CT: _("the CT"),
        Modality.FDG: _("the FDG PET"),
        Modality.ACETATE: _("the acetate PET"),
        None: _("the image"),
    }
)
SEGMENTATION_ROLE = _("the segmentation")


def subsets_of(modalities: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return all non-empty subsets, small ones first, each in the given order."""
    return tuple(c for n in range(1, len(modalities) + 1) for c in combinations(modalities, n))


def subset_name(subset: Iterable[str]) -> str:
    """Return 'ct+fdg' for ('ct', 'fdg') or for those members of `Modality`."""
    return "+".join(m.value if isinstance(m, Modality) else m for m in subset)


MODALITIES = tuple(m.value for m in Modality)
#: every combination of images that a case can have
SUBSETS = subsets_of(MODALITIES)
#: combinations that the paper reports (Table III of arXiv 2508.02104): CT alone, both PET, all images
INPUTS = (("ct",), ("fdg", "acetate"), MODALITIES)
INPUT_NAMES = tuple(map(subset_name, INPUTS))
