"""Completes the headers of source images for objects derived from them, if de-identification removed values.

Patient and study are copied into a derived object, where they may be empty but not missing (type 2 of the standard).
UIDs cannot be replaced if missing, since they identify the images and the position of the regions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from REACTKDLib.core.errors import NotReferable
from REACTKDLib.core.files.dicom.header import number, text
from REACTKDLib.core.files.dicom.packages import need_highdicom, need_pydicom
from REACTKDLib.core.files.dicom.writing import UNICODE
from REACTKDLib.core.text import tr as _

_TEXTS = ("PatientName", "PatientID", "AccessionNumber", "StudyID", "ReferringPhysicianName")
_SEXES = ("M", "F", "O")
_ONE = {"StudyInstanceUID": "Study Instance UID", "FrameOfReferenceUID": "Frame of Reference UID"}
_OWN = {"SOPInstanceUID": "SOP Instance UID"}
_COPIED = ("StudyDescription", "IssuerOfPatientID", "OtherPatientIDs", "OtherPatientNames", "PatientComments")
_DEFAULT_SET = "ISO 2022 IR 6"  # meaning of an empty first value among several character sets: PS3.3, C.12.1.1.2


def ready_to_derive(headers: Sequence[Any], role: str) -> list[Any]:
    """Return the headers, changed in place, with everything that a SEG and a Structured Report copy from them.

    Unknown values of patient and study are empty, as are placeholders that are no valid date, time or sex. A missing
    slice thickness becomes the slice distance. headers: of one acquisition, ascending along the normal. role: the name
    of the images in messages.

    Raises: NotReferable if an image lacks the UID of itself, its study or its frame of reference, or if the images
    state several studies or frames of reference, or text in an unknown character set.
    """
    _check_uids(headers, role)
    for header in headers:
        _fill(header)
        _name_character_sets(header, role)
        if not (number(header, "SliceThickness") or 0) > 0:
            header.SliceThickness = _distance(headers)
    return list(headers)


def _check_uids(headers: Sequence[Any], role: str) -> None:
    for keyword, name in (_OWN | _ONE).items():
        uids = {text(header, keyword) for header in headers}
        if "" in uids:
            message = _(
                "{role} does not state the {name} of every image, without which no DICOM report can refer to it; "
                "de-identify the original series again with UIDs replaced, not removed, or grade without a "
                "DICOM report."
            )
            raise NotReferable(message, role=role, name=name)
        if keyword in _ONE and len(uids) > 1:
            message = _(
                "{role} states several values of the {name} in one series, so one DICOM report cannot refer to all of "
                "it; export the series again, or grade without a DICOM report."
            )
            raise NotReferable(message, role=role, name=name)


def _fill(header: Any) -> None:
    valuerep = need_pydicom().valuerep
    for keyword in _TEXTS:
        if not text(header, keyword):
            setattr(header, keyword, "")
    for keyword, kind in (("PatientBirthDate", valuerep.DA), ("StudyDate", valuerep.DA), ("StudyTime", valuerep.TM)):
        if not _is_a(kind, text(header, keyword)):
            setattr(header, keyword, "")
    sex = text(header, "PatientSex").upper()
    header.PatientSex = sex if sex in _SEXES else ""


def _is_a(kind: Callable[[str], Any], value: str) -> bool:
    try:
        return bool(value) and kind(value) is not None
    except ValueError:
        return False


def _name_character_sets(header: Any, role: str) -> None:
    """State the character sets that highdicom can write; text in others is decoded and stored in Unicode."""
    value = header.get("SpecificCharacterSet", "")
    if not value:
        header.pop("SpecificCharacterSet", None)  # it must not be empty if present (type 1C)
        return
    names = [value] if isinstance(value, str) else [name or _DEFAULT_SET for name in value]
    written = {known.value for known in need_highdicom().enum.SpecificCharacterSetValues}
    extended = len(names) > 1  # with several sets, which are switched by escape sequences, other names apply
    if all(name in written and name.startswith("ISO 2022") == extended for name in names):
        header.SpecificCharacterSet = names if extended else names[0]
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        header.decode()
    unknown = any("Unknown encoding" in str(warning.message) for warning in told)
    if unknown and not all(text(header, keyword).isascii() for keyword in (*_TEXTS, *_COPIED)):
        message = _(
            "{role} states the character set '{name}', which DICOM does not know, so what its texts say is not known; "
            "correct the tag Specific Character Set, or grade without a DICOM report."
        )
        raise NotReferable(message, role=role, name=names[-1])
    header.SpecificCharacterSet = UNICODE


def _distance(headers: Sequence[Any]) -> float:
    """Return the mean distance of neighboring slices, mm."""
    first, last = (np.array(headers[n].ImagePositionPatient, float) for n in (0, -1))
    return round(float(np.linalg.norm(last - first)) / max(1, len(headers) - 1), 6)
