"""The check that a CT's header states Hounsfield units; iodine maps and similar images have other values.

Source: DICOM PS3.3 C.11.1.1.2 (Rescale Type) and C.8.15.2.1.1 (types of multi-energy images).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from REACTKDLib.core.errors import NotHounsfield
from REACTKDLib.core.files.dicom.header import items, text, words
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

# US means "not specified": GDCM writes it into every image, so it carries no information.
_HOUNSFIELD = {"", "US", "HU", "HOUNSFIELD", "HOUNSFIELD UNITS", "HOUNSFIELD UNIT"}
_OPEN = {"HU_MOD"}  # modified by a multi-energy method, such as virtual non-contrast images
_OTHER_KINDS = {
    "MAT_SPECIFIC", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "IODINE", "IODINE_MAP",
    "IODINEMAP", "IODINE MAP", "IODINE_OVERLAY", "IODINE_DENSITY", "IODINE DENSITY", "Z_EFF", "ZEFF", "PERFUSION_MAP",
}  # fmt: skip


def check_ct_kind(headers: Sequence[Any], role: str) -> list[Finding]:
    """Return a warning if the headers leave the meaning of the values open.

    headers: of all slices, or of one multi-frame image. Raises: NotHounsfield if they state another quantity.
    """
    types = {text(part, "RescaleType").upper() for header in headers for part in _parts(header)}
    kinds = {word for header in headers for word in words(header, "ImageType")} & _OTHER_KINDS
    other = sorted(types - _HOUNSFIELD - _OPEN) or sorted(kinds)
    if other:
        message = _(
            "{role} is no CT in Hounsfield units but another image derived from one: its header "
            "says {kinds}; give the CT itself."
        )
        raise NotHounsfield(message, role=role, kinds=quoted((name[:16] for name in other), 3))
    unclear = sorted(types & _OPEN)
    if not unclear:
        return []
    message = _("The header of {role} does not say that its values are Hounsfield units (it says {kinds}).")
    return [Finding("hounsfield-not-stated", "warning", message, role=role, kinds=quoted(unclear))]


def _parts(header: Any) -> Iterator[Any]:
    """Yield the datasets that may contain a rescale type: the header, and the frames of a multi-frame image."""
    yield header
    groups: Iterable[Any] = (
        *items(header, "SharedFunctionalGroupsSequence"), *items(header, "PerFrameFunctionalGroupsSequence"),
    )  # fmt: skip
    for group in groups:
        yield from items(group, "PixelValueTransformationSequence")
