"""Checks of what a list states about patients: their column may have another name, or a cell name no patient."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.text import MOST_NAMED, quoted
from REACTKDTrainLib.cohorts.bad_cells import NOTHING

_PATIENT = r"(?:pat|patient|subj|subject|person|participant|proband|mrn|pid)s?"
_NUMBER = r"(?:id|ids|no|nr|num|number|name|code|key)"
_PATIENT_LIKE = re.compile(rf"(?:study)?(?:{_PATIENT}{_NUMBER}?|{_NUMBER}of{_PATIENT})")
_UNKNOWN = (*NOTHING, "?", "unknown")


def patient_columns(names: Iterable[str]) -> list[str]:
    """Return the names of columns that may be those of the patients: 'subject', 'PatientID', 'mrn'."""
    return [name for name in names if _PATIENT_LIKE.fullmatch(re.sub(r"[\W\d_]+", "", name.lower()))]


def unread_patients(rows: Sequence[Mapping[str, Any]], read: Collection[str]) -> list[str]:
    """Return the columns that may be those of the patients and name one for several cases.

    If they are not read, each case counts as a patient, and two scans of one patient can be in different folds.

    rows: one for each case. read: columns that are read.
    """
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in read]
    cells = {n: [cell for row in rows if _names_one(cell := str(row.get(n, "")))] for n in patient_columns(names)}
    return [name for name, filled in cells.items() if len(set(filled)) < len(filled)]


def _names_one(cell: str) -> bool:
    """Return False for an empty cell, and for the text of a missing value."""
    return cell.strip().lower() not in ("", *_UNKNOWN)


def check_patient_column(rows: Sequence[Mapping[str, Any]]) -> None:
    """Check that a list that names no patient has no other column of them. rows: see `unread_patients`.

    Raises: UsageError.
    """
    other = unread_patients(rows, ("patient",))
    if other and all(row.get("patient") in (None, "") for row in rows):
        raise UsageError(
            f"The list has the column {quoted(other)}, which is not read and names a patient of several cases; call "
            "that of the patients 'patient'."
        )


def check_known_patients(patients: Iterable[tuple[str, str]]) -> None:
    """Check that no text for a missing value would join several cases as one patient.

    patients: (case, patient). Raises: UsageError.
    """
    unknown: dict[str, list[str]] = {}
    for case, patient in patients:
        if not _names_one(patient) and patient != case:
            unknown.setdefault(patient, []).append(case)
    for patient, cases in unknown.items():
        if len(cases) > 1:
            raise UsageError(
                f"The cases {quoted(cases, MOST_NAMED)} have the patient {quoted([patient])}, which would join them as "
                "one patient; write who they are of, or leave the cells empty if each is of another patient."
            )
