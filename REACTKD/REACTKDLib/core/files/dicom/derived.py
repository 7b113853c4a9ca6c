"""Headers of images as objects that are derived from them need them: unknown where de-identification took values away.

Patient and study are copied into a derived object. There they may be empty but not left out (type 2 of the standard),
while the UIDs say which images it means and where its regions lie, so nothing can stand for one that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from REACTKDLib.core.errors import NotReferable
from REACTKDLib.core.files.dicom.header import number, text
from REACTKDLib.core.files.dicom.packages import need_pydicom
from REACTKDLib.core.text import tr as _

_TEXTS = ("PatientName", "PatientID", "AccessionNumber", "StudyID", "ReferringPhysicianName")
_SEXES = ("M", "F", "O")
_ONE = {"StudyInstanceUID": "Study Instance UID", "FrameOfReferenceUID": "Frame of Reference UID"}
_OWN = {"SOPInstanceUID": "SOP Instance UID"}
_DEFAULT_SET = "ISO 2022 IR 6"  # what an empty first one of several character sets means: PS3.3, C.12.1.1.2


def ready_to_derive(headers: Sequence[Any], role: str) -> list[Any]:
    """Return the headers, changed in place, with all that a SEG and a Structured Report copy from them.

    What is unknown of patient and study is empty, as is a placeholder that is no date, time or sex. A slice thickness
    that is not stated is the distance of the slices. headers: of one acquisition, ascending along the normal. role: the
    words for the images in messages.

    Raises: NotReferable where an image states no UID of its own, of its study or of its frame of reference, or where
    the images state several studies or frames of reference.
    """
    _check_uids(headers, role)
    for header in headers:
        _fill(header)
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
    if "SpecificCharacterSet" in header:
        _name_character_sets(header)


def _is_a(kind: Callable[[str], Any], value: str) -> bool:
    try:
        return bool(value) and kind(value) is not None
    except ValueError:
        return False


def _name_character_sets(header: Any) -> None:
    """An empty value is not valid where the tag is there (type 1C)."""
    value = header.SpecificCharacterSet
    if not value:
        del header.SpecificCharacterSet
    elif not isinstance(value, str):
        header.SpecificCharacterSet = [name or _DEFAULT_SET for name in value]


def _distance(headers: Sequence[Any]) -> float:
    """Mean distance of neighboring slices, mm."""
    first, last = (np.array(headers[n].ImagePositionPatient, float) for n in (0, -1))
    return round(float(np.linalg.norm(last - first)) / max(1, len(headers) - 1), 6)
