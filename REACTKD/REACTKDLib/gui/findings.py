"""Which section shows which finding: of images in Inputs, of masks in Masks, of the computation in Grade."""

from __future__ import annotations

from collections.abc import Iterable

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.masks.checks import MASK_FINDINGS
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.translation import translated

_MASKS = MASK_FINDINGS | {
    "no-lesion",
    "no-parenchyma",
    "low-resolution",
    "liver-not-tissue",
    "mask-partly-outside",
    "liver-of-parts",
    "liver-part-empty",
}
_COMPUTATION = {"device-fallback", "field-moved", "liver-larger-than-grid", "input-ignored", "combination-unseen"}
# Said in the line of the volume itself.
_KNOWN_ALREADY = {"pet-not-suv"}


def is_of_masks(finding: Finding) -> bool:
    """True for what the checks say of masks."""
    return finding.code in _MASKS


def computation_messages(report: GradeReport | None) -> list[str]:
    """Return what the reader should know of how the grade was computed."""
    return [translated(f.message) for f in report.findings if f.code in _COMPUTATION] if report is not None else []


def input_findings_of(report: GradeReport | None) -> list[Finding]:
    """Return what the checks say of the images; every finding that belongs to no other section is among them."""
    elsewhere = _MASKS | _COMPUTATION | _KNOWN_ALREADY
    return [f for f in report.findings if f.code not in elsewhere] if report is not None else []


def urgent(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the sentences for which a section opens by itself: warnings, not what is said for information."""
    return tuple(translated(finding.message) for finding in findings if finding.severity != "info")
