"""Assigns findings to sections: on images to Inputs, on masks to Masks, on the computation to Grade."""

from __future__ import annotations

from collections.abc import Iterable

from slicer.i18n import tr as _

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.masks.checks import MASK_FINDINGS
from REACTKDLib.core.masks.drawn_segments import READING_FINDINGS
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.translation import translated

_MASKS = MASK_FINDINGS | READING_FINDINGS | {"no-lesion", "no-parenchyma", "low-resolution", "liver-not-tissue"}
_COMPUTATION = {
    "device-fallback",
    "field-moved",
    "liver-larger-than-grid",
    "input-ignored",
    "combination-unseen",
    "ct-unlike-training",
}
# Shown in the line of the volume itself.
_KNOWN_ALREADY = {"pet-not-suv"}

#: heading of findings on masks or images that have changed since
BEFORE_THE_CHANGE = _("Before the last change:")


def is_of_masks(finding: Finding) -> bool:
    """Return True for findings of the checks of masks."""
    return finding.code in _MASKS


def computation_messages(report: GradeReport | None) -> list[str]:
    """Return messages on how the grade was computed."""
    return [translated(f.message) for f in report.findings if f.code in _COMPUTATION] if report is not None else []


def input_findings_of(findings: Iterable[Finding] | None) -> list[Finding]:
    """Return those on the images, including all that belong to no other section."""
    elsewhere = _MASKS | _COMPUTATION | _KNOWN_ALREADY
    return [finding for finding in findings or () if finding.code not in elsewhere]


def urgent(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the sentences that open a section: warnings, not information."""
    return tuple(translated(finding.message) for finding in findings if finding.severity != "info")
