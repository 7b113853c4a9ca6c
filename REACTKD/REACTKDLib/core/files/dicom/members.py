"""Decides which images of a series are slices of its volume; the others are left out with a finding.

A scout, a dose report or a screen capture may have the SeriesInstanceUID of the CT. Such images are recognized by their
image type, by having no position in the patient, or by being few images of another size or other axes beside a large
stack. Of two stacks of similar size neither is foreign: such a series is mixed, and is refused when it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.errors import MixedSeries
from REACTKDLib.core.text import all_of, plural
from REACTKDLib.core.text import tr as _

FEW = 5  # the stack must have this many times the images of a foreign kind
AXES_TOLERANCE = 1e-3
PIXEL_TOLERANCE = 1e-3
NOT_A_VOLUME = {"LOCALIZER", "SCOUT", "MIP", "PROJECTION IMAGE"}
_SCREEN = {"SCREEN SAVE", "SCREENSAVE", "DOSE_INFO"}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_IMAGE_CLASSES = {f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "2.1", "2.2", "128", "128.1", "130")}  # CT and PET
WORDS = {  # what is not a slice, and why, singular and plural
    "localizer": (
        _("{count} image that is a localizer or a projection"),
        _("{count} images that are localizers or projections"),
    ),
    "page": (
        _("{count} image that is a page or a picture of a screen"),
        _("{count} images that are pages or pictures of a screen"),
    ),
    "object": (_("{count} object that is no image"), _("{count} objects that are no images")),
    "unplaced": (
        _("{count} image without a place in the patient"),
        _("{count} images without a place in the patient"),
    ),
    "other": (
        _("{count} image of another size or other axes"),
        _("{count} images of another size or other axes"),
    ),
}


@dataclass(frozen=True, slots=True)
class Look:
    """The properties that all slices of a stack share.

    image_type: in capitals. orientation: six numbers. pixel_spacing: mm, rows then columns. size: rows, columns.
    frames: 1 for a single slice. sop_class: its UID. colors: samples of a pixel. patient: id, name and date of birth.
    stated: the number of slices that its header states.
    """

    image_type: tuple[str, ...] = ()
    orientation: tuple[float, ...] | None = None
    pixel_spacing: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    frames: int = 1
    sop_class: str = ""
    colors: int = 1
    patient: tuple[str, str, str] = ("", "", "")
    frame_of_reference: str = ""
    stated: int | None = None

    @property
    def stated_foreign(self) -> str:
        """The reason by its own header why an image is not a slice, a key of `WORDS`; "" if it may be one."""
        if NOT_A_VOLUME & set(self.image_type):
            return "localizer"
        if self.size is None and not self.is_cut_off:
            return "object"
        if _SCREEN & set(self.image_type) or self.colors > 1 or self.sop_class.startswith(_SECONDARY_CAPTURE):
            return "page"
        return ""

    @property
    def is_cut_off(self) -> bool:
        """True for an image whose header ends before its size; objects of other classes need not state a size."""
        return self.size is None and self.sop_class in _IMAGE_CLASSES

    def is_like(self, other: Look) -> bool:
        """Return True if both may be slices of one stack: same size, axes and pixel spacing, within rounding."""
        return (
            self.size == other.size
            and (self.frames > 1) == (other.frames > 1)
            and _close(self.orientation, other.orientation, atol=AXES_TOLERANCE)
            and _close(self.pixel_spacing, other.pixel_spacing, rtol=PIXEL_TOLERANCE)
        )


def sorted_out(pieces: Sequence) -> tuple[list, list[tuple]]:
    """Return the slices of the volume, in their order, and (image, key of `WORDS`) of those that are not slices.

    pieces: of one series, each with `look` and `position`. If all images are foreign, all are kept.
    """
    rest, foreign = _without(pieces, lambda piece: piece.look.stated_foreign, stated=True)
    rest, more = _without(rest, lambda piece: "" if _has_place(piece) else "unplaced")
    foreign += more
    stacks = _stacks(rest)
    if stacks:
        main = max(stacks, key=_weight)
        small = {id(piece) for stack in stacks if stack is not main and _few(stack, main) for piece in stack}
        foreign += [(piece, "other") for piece in rest if id(piece) in small]
        rest = [piece for piece in rest if id(piece) not in small]
    return rest, foreign


def check_one_patient(series, role: str) -> None:
    """Raise MixedSeries if images of one series, including foreign ones, state different patients.

    An empty id, name or date of birth contradicts nothing. The message contains no names.
    """
    seen = {piece.look.patient for piece in [*series.slices, *(piece for piece, _why in series.left_out)]}
    if any(len(set(values) - {""}) > 1 for values in zip(*seen, strict=True)):
        raise MixedSeries(
            _("{role} holds images of different patients in one series; give a folder with one patient."), role=role
        )


def left_out_text(foreign: Iterable[tuple], role: str) -> str:
    """Return the sentence on the images that were left out."""
    whys = [why for _piece, why in foreign]
    counts = Counter(whys)
    images = all_of(plural(count, *WORDS[why]) for why, count in counts.items())
    text = (
        _("The series of {role} holds {images} beside its slices; it was left out.")
        if len(whys) == 1
        else _("The series of {role} holds {images} beside its slices; they were left out.")
    )
    return text.format(role=role, images=images)


def slices_text(count: int) -> str:
    """Return "1 slice" or "3 slices"."""
    return plural(count, _("{count} slice"), _("{count} slices"))


def files_text(count: int) -> str:
    """Return "1 file" or "3 files"."""
    return plural(count, _("{count} file"), _("{count} files"))


def _without(pieces: Sequence, reason, stated: bool = False) -> tuple[list, list[tuple]]:
    """Return the pieces without a reason to leave them out, and the others.

    stated: by their own headers, so more than a few may be left out.
    """
    foreign = [(piece, reason(piece)) for piece in pieces if reason(piece)]
    rest = [piece for piece in pieces if not reason(piece)]
    clear = len(rest) >= len(foreign) if stated else _few([piece for piece, _why in foreign], rest)
    return (rest, foreign) if rest and foreign and clear else (list(pieces), [])


def _has_place(piece) -> bool:
    return piece.look.frames > 1 or None not in (piece.position, piece.look.orientation)


def _stacks(pieces: Sequence) -> list[list]:
    stacks: list[list] = []
    known: dict[int, list] = {}  # slices share looks, so each is compared once
    for piece in pieces:
        stack = known.get(id(piece.look))
        if stack is None:
            stack = next((s for s in stacks if s[0].look.is_like(piece.look)), None)
            if stack is None:
                stack = []
                stacks.append(stack)
            known[id(piece.look)] = stack
        stack.append(piece)
    return stacks


def _weight(stack: Sequence) -> int:
    return sum(piece.look.frames for piece in stack)


def _few(foreign: Sequence, main: Sequence) -> bool:
    few, many = _weight(foreign), _weight(main)
    return few * FEW <= many or few == 1 < many


def _close(first, second, **tolerance: float) -> bool:
    if first is None or second is None:
        return first is second
    return bool(np.allclose(first, second, **{"atol": 0.0, "rtol": 0.0, **tolerance}))
