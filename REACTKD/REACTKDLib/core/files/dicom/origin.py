"""Checks whether the files of a case belong together: patient, study, frame of reference, series.

Findings and errors state which files disagree, never the contents of their headers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from REACTKDLib.core.errors import PatientMismatch
from REACTKDLib.core.files.dicom.header import items, text
from REACTKDLib.core.files.dicom.patient import TAGS as PATIENT_TAGS
from REACTKDLib.core.files.dicom.patient import Patient, compare
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import listed
from REACTKDLib.core.text import tr as _

_OTHER_STUDIES = "StudiesContainingOtherReferencedInstancesSequence"
TAGS = (
    *PATIENT_TAGS, "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "ReferencedSeriesSequence",
    _OTHER_STUDIES,
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Origin:
    """The origin of one file or series of a case; "" for unknown values. role: for messages, such as "the CT".

    instances: the SOP instance UIDs of its images. referenced, sources: of a segmentation, the series and the images on
    which it was drawn, if stated.
    """

    role: str
    patient: Patient = Patient()
    study: str = ""
    frame: str = ""
    series: str = ""
    instances: frozenset[str] = frozenset()
    referenced: tuple[str, ...] = ()
    sources: frozenset[str] = frozenset()


def origin_of(dataset: Any, role: str, instances: Iterable[str] = (), sources: Iterable[str] = ()) -> Origin:
    """Return the origin from a header with `TAGS`. instances, sources: see `Origin`."""
    return Origin(
        role,
        Patient.of(dataset),
        text(dataset, "StudyInstanceUID"),
        text(dataset, "FrameOfReferenceUID"),
        text(dataset, "SeriesInstanceUID"),
        frozenset(instances),
        series_referenced_by(dataset),
        frozenset(sources),
    )


def series_referenced_by(dataset: Any) -> tuple[str, ...]:
    """Return the UIDs of the series that an object references, in its own study and in others."""
    studies = [dataset, *items(dataset, _OTHER_STUDIES)]
    found = (text(item, "SeriesInstanceUID") for study in studies for item in items(study, "ReferencedSeriesSequence"))
    return tuple(dict.fromkeys(filter(None, found)))


def check_origins(
    images: Sequence[Origin], masks: Sequence[Origin] = (), different_patients_ok: bool = False
) -> list[Finding]:
    """Return findings against the files being of one case; none if their headers agree or do not tell.

    images: the reference image first; one without a DICOM header has a role only. masks: of the segmentation.
    different_patients_ok: the user has confirmed that the headers state one patient differently.

    Raises: PatientMismatch for different patients, unless allowed; then it is a finding.
    """
    findings = _patient_findings([*images, *masks], different_patients_ok)
    if images:
        findings += _place_findings(images, masks)
    return findings


def _patient_findings(origins: Sequence[Origin], allowed: bool) -> list[Finding]:
    findings = []
    pairs = [(a, b, compare(a.patient, b.patient)) for a, b in combinations(origins, 2)]
    different = next(((a.role, b.role) for a, b, verdict in pairs if verdict == "different"), None)
    if different is not None:
        first, second = different
        if not allowed:
            message = _(
                "{first} and {second} belong to different patients by their DICOM headers; give the files "
                "of one patient, or allow it (--different-patients-ok) if each has a different "
                "pseudonym."
            )
            raise PatientMismatch(message, first=first, second=second)
        message = _("{first} and {second} belong to different patients by their DICOM headers, which was allowed.")
        findings.append(Finding("different-patients", "warning", message, first=first, second=second))
    doubtful = next(((a.role, b.role) for a, b, verdict in pairs if verdict == "doubtful"), None)
    if doubtful is not None:
        first, second = doubtful
        message = _(
            "{first} and {second} may belong to different patients: their DICOM headers agree only in"
            " part (name, birth date or sex); check whose they are."
        )
        findings.append(Finding("patient-doubtful", "warning", message, first=first, second=second))
    return findings


def _place_findings(images: Sequence[Origin], masks: Sequence[Origin]) -> list[Finding]:
    first, findings = images[0], []
    drawn_on = {mask: next((i for i in images if i.series and i.series in mask.referenced), None) for mask in masks}
    targets = [(image, first) for image in images[1:]] + [(mask, drawn_on[mask] or first) for mask in masks]
    moved = _roles(pair for pair in targets if _differ(pair[0].frame, pair[1].frame))
    if moved:
        message = _(
            "{images} do not share one frame of reference, so equal positions may be different places "
            "in the patient; check that they are aligned."
        )
        findings.append(Finding("another-frame-of-reference", "warning", message, images=listed(moved)))
    # A segmentation may belong to a study of its own and still reference the given series.
    other = _roles(pair for pair in targets if _differ(pair[0].study, pair[1].study) and not drawn_on.get(pair[0]))
    if other:
        message = _("{images} are of different studies; check that they show the patient in the same state.")
        findings.append(Finding("another-study", "warning", message, images=listed(other)))
    stray = next((mask.role for mask in masks if drawn_on[mask] is None and _drawn_elsewhere(mask, images)), None)
    if stray is not None:
        message = _(
            "{stray} was drawn on another series than those given; check that it lies on the "
            "organ, or give the series that it was drawn on."
        )
        findings.append(Finding("segmentation-of-another-series", "warning", message, stray=stray))
    return findings


def _drawn_elsewhere(mask: Origin, images: Sequence[Origin]) -> bool:
    """Return True if a segmentation references series or images, and none of the given ones is among them."""
    if mask.referenced:
        return all(image.series for image in images)
    known = [image.instances for image in images]
    return bool(mask.sources) and all(known) and not any(mask.sources & instances for instances in known)


def _differ(a: str, b: str) -> bool:
    return bool(a and b and a != b)


def _roles(pairs: Iterable[tuple[Origin, Origin]]) -> list[str]:
    """Return the roles of all first ones, then of all second ones, without duplicates."""
    return list(dict.fromkeys(origin.role for column in zip(*pairs) for origin in column))
