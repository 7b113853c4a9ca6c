"""Grades from a user-defined sheet: which columns hold case and grade, and what the grades mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from REACTKDLib.core.cases.names import on_disk
from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import MOST_NAMED, quoted
from REACTKDTrainLib.cohorts.grade_words import OWN_WORDS, GradeWords
from REACTKDTrainLib.cohorts.patient_cells import check_known_patients, unread_patients


@dataclass(frozen=True)
class OwnSheet:
    """path: a CSV or a workbook. grade, case, patient, keep: names of its columns; '' for case: find the column. words:
    the meaning of its grades.

    keep: columns that are copied into the list as clinical data; no other data of the sheet are.
    """

    path: Path
    grade: str
    case: str = ""
    patient: str = ""
    words: GradeWords = OWN_WORDS
    keep: tuple[str, ...] = ()

    def rows(
        self, cases: Collection[str], task: Task = HCC_GRADE, patients_known: bool = False
    ) -> dict[str, tuple[int | None, str, dict[str, str]]]:
        """Return case -> (grade, patient or '', kept data), for the rows of the sheet whose case is among `cases`.

        patients_known: True if the paths of the cases name their patients.

        Letter case, and composed or decomposed accents, are ignored unless cases differ in these alone.

        Raises: FileMissing; UsageError for a column that is missing or not unique, two different rows of one case, a
        row that matches two cases, a text that is not a grade, patients in a column that was not named, or a text such
        as NA for the patient of several cases.
        """
        if not self.path.is_file():
            raise FileMissing("There is no sheet at the path given; check the path.")
        wanted = [name.lower() for name in (self.grade, self.case, self.patient, *self.keep) if name]
        table = read_table(self.path, "the sheet", wanted)
        column = self.case.lower() or _column_of_cases(table.columns, table.rows, cases)
        known = _by_name(cases)
        rows = [(case, row) for row in table.rows if (case := _case_of(row[column], known)) is not None]
        if not (self.patient or patients_known):
            _check_patients(dict(rows), column)
        self.words.check_grades(((case, row[self.grade.lower()]) for case, row in rows), task)
        out: dict[str, tuple[int | None, str, dict[str, str]]] = {}
        twice = {}
        for case, row in rows:
            grade = self.words.grade(row[self.grade.lower()], case, task)
            kept = {name.lower(): row[name.lower()] for name in self.keep if row[name.lower()]}
            found = (grade, row[self.patient.lower()] if self.patient else "", kept)
            if out.setdefault(case, found) != found:
                twice[case] = None
        if twice:
            raise UsageError(f"The sheet says two things of {quoted(twice, MOST_NAMED)}; correct it.")
        check_known_patients((case, patient) for case, (_grade, patient, _kept) in out.items() if patient)
        return out


def _check_patients(rows: Mapping[str, Mapping[str, str]], column: str) -> None:
    """Raise UsageError if patients with several cases are in a column that is not read. column: that of the cases."""
    other = unread_patients(list(rows.values()), (column,))
    if other:
        raise UsageError(
            f"The sheet has the column {quoted(other)}, which names a patient of several cases; say with "
            "--patient-column which is that of the patients, or take it out of the sheet."
        )


def _by_name(cases: Collection[str]) -> dict[str, list[str]]:
    """Return normalized name -> the cases with that name, since spreadsheets may write names differently."""
    known: dict[str, list[str]] = {}
    for name in cases:
        known.setdefault(on_disk(name), []).append(name)
    return known


def _case_of(text: str, known: Mapping[str, Sequence[str]]) -> str | None:
    """Return the case that a cell names, if any. Raises: UsageError if it may be two of them."""
    found = known.get(on_disk(text), ()) if text else ()
    if len(found) > 1 and text not in found:
        raise UsageError(f"The sheet names {quoted([text])}, which may be {quoted(found)}; write it as its files.")
    return text if text in found else next(iter(found), None)


def _column_of_cases(columns: Collection[str], rows: Collection[Mapping[str, str]], cases: Collection[str]) -> str:
    """Return the only column whose cells are names of cases. Raises: UsageError."""
    if not columns:
        raise UsageError("The sheet is empty; check which file it is.")
    names = _by_name(cases)
    fitting = [column for column in columns if any(row[column] and on_disk(row[column]) in names for row in rows)]
    if not fitting:
        raise UsageError(
            f"No column of the sheet ({quoted(columns)}) names a case as its files do, such as "
            f"{quoted(sorted(cases)[:1])}; "
            "write the names of the files into the sheet, or move {case} in the pattern."
        )
    if len(fitting) > 1:
        raise UsageError(
            f"In the sheet the columns {quoted(fitting)} name cases that were found; say which is theirs with "
            "--case-column."
        )
    return fitting[0]
