"""The images that a case may have, in the order of reports, what each is called in messages, and subsets of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import combinations
from types import MappingProxyType

from REACTKDLib.core.text import tr as _


class Modality(str, Enum):
    """What was imaged; the order is that of reports and of the choice of the reference grid."""

    CT = "ct"
    FDG = "fdg"
    ACETATE = "acetate"


#: never an image's path or node name, which may hold a patient's name
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
    """All subsets but the empty one, small ones first, each in the order given."""
    return tuple(c for n in range(1, len(modalities) + 1) for c in combinations(modalities, n))


def subset_name(subset: Iterable[str]) -> str:
    """'ct+fdg' for ('ct', 'fdg'), and for those members of `Modality`."""
    return "+".join(m.value if isinstance(m, Modality) else m for m in subset)


MODALITIES = tuple(m.value for m in Modality)
#: all that a case may have of these images
SUBSETS = subsets_of(MODALITIES)
#: what the paper reports (Table III of arXiv 2508.02104): CT alone, both PET, all images
INPUTS = (("ct",), ("fdg", "acetate"), MODALITIES)
INPUT_NAMES = tuple(map(subset_name, INPUTS))
