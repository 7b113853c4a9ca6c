"""Whether a CT's header says that its values are Hounsfield units, which those of iodine maps and their like are not.

Source: DICOM PS3.3 C.11.1.1.2 (Rescale Type) and C.8.15.2.1.1 (what a multi-energy image shows).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from REACTKDLib.core.errors import NotHounsfield
from REACTKDLib.core.files.dicom.header import items, text, words
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

# US is "not specified": GDCM writes it into every image, so it says no more than nothing does.
_HOUNSFIELD = {"", "US", "HU", "HOUNSFIELD", "HOUNSFIELD UNITS", "HOUNSFIELD UNIT"}
_OPEN = {"HU_MOD"}  # changed by a multi-energy method, as virtual non-contrast images are
_OTHER_KINDS = {
    "MAT_SPECIFIC", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "IODINE", "IODINE_MAP",
    "IODINEMAP", "IODINE MAP", "IODINE_OVERLAY", "IODINE_DENSITY", "IODINE DENSITY", "Z_EFF", "ZEFF", "PERFUSION_MAP",
}  # fmt: skip


def check_ct_kind(headers: Sequence[Any], role: str) -> list[Finding]:
    """Return a warning where the headers leave open what the values mean.

    headers: of all slices, or of one multi-frame image. Raises: NotHounsfield where they state another quantity.
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
    """The places of a header that hold a rescale type: itself, and those of the frames of a multi-frame image."""
    yield header
    groups: Iterable[Any] = (
        *items(header, "SharedFunctionalGroupsSequence"), *items(header, "PerFrameFunctionalGroupsSequence"),
    )  # fmt: skip
    for group in groups:
        yield from items(group, "PixelValueTransformationSequence")
