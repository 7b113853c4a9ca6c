"""Clinical sheets: grade, sex, age, hepatitis, AFP. Stored as de-identified metadata, never an input of a network."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.files.tables import Table, read_table
from REACTKDLib.core.files.workbooks import MARK, sheets_of
from REACTKDLib.core.text import quoted

Mixed = Literal["exclude", "lower", "higher"]
#: mixed grades, between two grades: (lower, higher)
MIXED = {"well-moderately differentiated": (0, 1), "moderately-poorly differentiated": (1, 2)}
EXACT = {"well differentiated": 0, "moderately differentiated": 1, "poorly differentiated": 2}
NONE = ("not stated", "no biopsy", "")
OLDEST = 90  # ages above 89 are identifying (HIPAA safe harbor), so they are stored as 90


@dataclass(frozen=True)
class ClinicalRow:
    """The data that are kept of a patient. grade: 0, 1, 2 or None; grade_text: as in the sheet. age: years, 90 for 90
    and above. sex: 'M', 'F' or None. hepatitis: as in the sheet. afp_ng_ml: in ng/ml, None if missing.
    days_from_diagnosis: of the baseline scan, as also stated in the DICOM header.
    """

    id: str
    grade: int | None = None
    grade_text: str = ""
    sex: str | None = None
    age: int | None = None
    hepatitis: str | None = None
    afp_ng_ml: float | None = None
    days_from_diagnosis: int | None = None

    def to_metadata(self) -> dict[str, Any]:
        """Return JSON types, without the id."""
        return {k: v for k, v in asdict(self).items() if k != "id" and v not in (None, "")}


def grade_of_text(text: Any, mixed: Mixed = "exclude") -> int | None:
    """Return the grade that a pathology text states, by exact match (ignoring case and spaces), or None if it states
    none.

    mixed: handling of 'Well-moderately' and 'Moderately-poorly differentiated': exclude them, or use the lower or
    higher of the two. A text that merely contains 'moderately' is not a match.

    Raises: UsageError for a text that is neither a grade nor a known expression for a missing grade.
    """
    if mixed not in ("exclude", "lower", "higher"):
        raise UsageError(f"Mixed grades can be 'exclude', 'lower' or 'higher', not {mixed!r}.")
    cleaned = re.sub(r"\s+", " ", str(text if text is not None else "")).strip().casefold()
    if cleaned in EXACT:
        return EXACT[cleaned]
    if cleaned in MIXED:
        return None if mixed == "exclude" else MIXED[cleaned][mixed == "higher"]
    if cleaned in NONE:
        return None
    raise UsageError(f"The grade {str(text)!r} is not known; known are {quoted([*EXACT, *MIXED, *NONE[:-1]])}.")


def only_sheet(found: Iterable[Path], advice: str = "keep one") -> Path | None:
    """The clinical sheet among these files, however many copies of it there are; None without any.

    Raises: UsageError for two that differ, since either could be meant.
    """
    paths = sorted(found)
    if len(paths) > 1 and len({path.read_bytes() for path in paths}) > 1:
        names = quoted(path.name for path in paths)
        raise UsageError(f"The folder holds {len(paths)} clinical sheets ({names}) that differ; {advice}.")
    return paths[0] if paths else None


def read_hcc_tace_sheet(path: Path, mixed: Mixed = "exclude") -> dict[str, ClinicalRow]:
    """Read `HCC-TACE-Seg_clinical_data-V2.xlsx` (sheet 'data table'): patient id -> row, 105 of them.

    Only the fields of `ClinicalRow` are kept: no dates, survival or history.
    Raises: FileMissing, PackagesMissing (openpyxl), UsageError for another workbook.
    """
    rows = _xlsx_rows(Path(path), "data table")
    header = [str(c) for c in rows[0]]
    wanted = ("TCIA_ID", "Pathology", "Sex", "age", "hepatitis", "AFP")
    missing = [c for c in wanted if c not in header]
    if missing:
        raise UsageError(f"The clinical sheet lacks the columns {quoted(missing)}; give the original workbook.")
    out: dict[str, ClinicalRow] = {}
    for row in rows[1:]:
        cell = dict(zip(header, row, strict=False))
        name = str(cell["TCIA_ID"] or "").strip()
        if name:
            found = ClinicalRow(
                id=name,
                grade=grade_of_text(cell["Pathology"], mixed),
                grade_text=str(cell["Pathology"] or "").strip(),
                sex={1: "M", 2: "F"}.get(_integer(cell["Sex"])),
                age=_age(cell["age"]),
                hepatitis=str(cell["hepatitis"]) if cell["hepatitis"] else None,
                afp_ng_ml=_number(cell["AFP"]),
                days_from_diagnosis=_integer(cell.get("Interval_BL")),
            )
            if out.setdefault(name, found) != found:
                raise UsageError(f"The clinical sheet says two things of {quoted([name])}; give the original workbook.")
    return out


def read_hospital_sheet(path: Path) -> dict[str, ClinicalRow]:
    """Read the CSV of the published layout: ID, and optionally AFP, Hepatitis, Age, Sex. Columns that end in `_norm` or
    `_mapped` were normalized by its authors; they are not clinical values and are ignored.

    Raises: FileMissing, UsageError.
    """
    path = Path(path)
    if not path.is_file():
        raise FileMissing("There is no clinical sheet at the path given; check the path.")
    table = read_table(path, "the clinical sheet", ("id",))
    if not table.columns:
        raise UsageError("The clinical sheet is empty; the first line must name the columns.")
    rows: dict[str, ClinicalRow] = {}
    for cells in table.rows:
        name = cells["id"]
        if not name:
            continue
        row = ClinicalRow(
            id=name,
            sex={"m": "M", "male": "M", "f": "F", "female": "F"}.get(cells.get("sex", "").casefold()),
            age=_age(cells.get("age")),
            hepatitis=cells.get("hepatitis") or None,
            afp_ng_ml=_number(_with_point(cells.get("afp", ""), table)),
        )
        if rows.setdefault(name, row) != row:
            raise UsageError(f"The clinical sheet says two things of {quoted([name])}; correct it.")
    return rows


def _with_point(text: str, table: Table) -> str:
    """Replace a decimal comma by a point, unless the comma is the separator or may separate thousands."""
    plain = table.separator != "," and re.fullmatch(r"\d+,\d+", text) and not re.fullmatch(r"\d{1,3},\d{3}", text)
    return text.replace(",", ".") if plain else text


def _xlsx_rows(path: Path, sheet: str) -> list[tuple]:
    if not path.is_file():
        raise FileMissing("There is no clinical sheet at the path given; check the path.")
    data = path.read_bytes()
    if not data.startswith(MARK):
        raise UsageError("The clinical sheet is not a workbook that can be read; download it again.")
    sheets = sheets_of(data, "the clinical sheet")
    if sheet not in sheets:
        raise UsageError(f"The clinical workbook has no sheet '{sheet}'; give the original workbook.")
    return sheets[sheet]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _age(value: Any) -> int | None:
    number = _integer(value)
    return None if number is None or not 0 <= number <= 130 else min(number, OLDEST)
