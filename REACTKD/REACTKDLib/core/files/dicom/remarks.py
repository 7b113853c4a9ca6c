"""Findings on a series besides its volume: images left out, unreadable files, missing slices."""

from __future__ import annotations

from collections.abc import Sequence

from REACTKDLib.core.files.dicom.index import Series, Slice
from REACTKDLib.core.files.dicom.members import files_text, left_out_text, slices_text
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _


def remarks_on(series: Series, slices: Sequence[Slice], role: str) -> list[Finding]:
    """Return the findings on one acquisition that follow from the headers and files of its series."""
    found = []
    if series.left_out:
        found.append(Finding("images-left-out", _severity(series), left_out_text(series.left_out, role)))
    if series.unreadable:
        text = _(
            "{files} beside the slices of {role} cannot be read, so slices at its ends may be lacking; copy or export "
            "the series again."
        )
        found.append(Finding("files-unreadable", "warning", text, files=files_text(series.unreadable), role=role))
    lacking = _maybe_lacking(series, slices, role)
    if lacking is not None:
        found.append(lacking)
    frames = {piece.look.frame_of_reference for piece in slices} - {""}
    if len(frames) > 1:
        message = _("{role} states {count} frames of reference in one series, so its slices may not fit each other.")
        found.append(Finding("frames-of-reference-mixed", "warning", message, role=role, count=len(frames)))
    return found


def _severity(series: Series) -> str:
    """Return a warning level if an image that was left out looks like a slice, and so may have been one."""
    look = series.slices[0].look
    alike = (look.size, look.image_type)
    doubtful = any(why == "unplaced" and (p.look.size, p.look.image_type) == alike for p, why in series.left_out)
    return "warning" if doubtful else "info"


def _maybe_lacking(series: Series, slices: Sequence[Slice], role: str) -> Finding | None:
    """Return the finding from the headers' own counts: more slices stated than present, or image numbers that do not
    begin at 1.
    """
    if series.multiframe:
        return None
    stated, places = slices[0].look.stated or 0, len({piece.position for piece in slices})
    # An acquisition of CT may be stored in several series; image numbers then exceed the stated number.
    counted = series.modality == "PT" or (series.images < stated and (series.highest or 0) <= stated)
    if counted and stated > places:
        text = _("{role} has {slices} where its header states {stated}; copy or export the whole series again.")
        slices_there = slices_text(places)
        return Finding("slices-maybe-lacking", "warning", text, role=role, slices=slices_there, stated=stated)
    if series.skipped:
        one = _("{count} image number is left out between the slices of {role}, so some may be lacking.")
        many = _("{count} image numbers are left out between the slices of {role}, so some may be lacking.")
        text = one if series.skipped == 1 else many
        return Finding("slices-maybe-lacking", "info", text, count=series.skipped, role=role)
    if (series.lowest or 1) > 1:
        message = _("The images of {role} are numbered from {lowest}, so slices at one end of it may be lacking.")
        return Finding("slices-maybe-lacking", "info", message, role=role, lowest=series.lowest)
    return None
