"""A list of cases: a CSV with a row for each, a folder with a folder for each, or a datalist in MONAI's form."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from REACTKDLib.core.case import Modality
from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.text import quoted

COLUMNS = ("case", "ct", "fdg", "acetate", "segmentation", "liver", "tumor")
SEPARATOR = re.compile(r"[;|]")
IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
SEGMENTATION_SUFFIXES = (".seg.nrrd", *IMAGE_SUFFIXES, ".dcm")
#: in the names of all files and folders that the reading room leaves beside a list, so that none is taken for a case
OWN_MARK = ".reactkd"


@dataclass(frozen=True)
class Job:
    """One case to do. images: {modality: path} of those given. liver, tumor: names or labels, None for recognition.

    mask_files: liver and tumor as label files of their own, in place of a segmentation.
    """

    case: str
    images: dict[Modality, Path] = field(default_factory=dict)
    segmentation: Path | None = None
    liver: tuple[str, ...] | None = None
    tumor: tuple[str, ...] | None = None
    mask_files: tuple[Path, Path] | None = None


def read_worklist(path: Path, extra: Sequence[str] = ()) -> list[Job]:
    """Return the jobs of a CSV, of a folder or of a datalist, in its order. A case without a name becomes "case-3".

    CSV: UTF-8 with a header; columns case and segmentation, and any of ct, fdg, acetate, liver, tumor; paths are
    relative to the CSV; several segments are separated by ";" or "|".
    Folder: each folder in it is a case of that name and holds CT, FDG, ACETATE and segmentation files (.nii.gz, .nii,
    .nrrd, .mha; .seg.nrrd or .dcm for the segmentation), or DICOM series as folders of these names, in any case of
    letters.
    Datalist: see `core.datalist`. extra: further columns that a CSV may have.

    Raises: FileMissing, UsageError (unreadable, without cases, or a case named twice).
    """
    path = Path(path)
    if path.is_dir():
        jobs = [_job_of_folder(folder) for folder in sorted(path.iterdir()) if _is_case_folder(folder)]
    elif path.is_file() and path.suffix.lower() == ".json":
        from REACTKDLib.core.datalist import jobs_of_datalist

        jobs = jobs_of_datalist(path)
    elif path.is_file():
        jobs = _jobs_of_csv(path, extra)
    else:
        raise FileMissing(
            "There is no worklist at the path given; give a CSV file, a datalist (.json) or a folder of case folders."
        )
    if not jobs:
        raise UsageError("The worklist holds no case; give a CSV with a row, or a folder with a folder, for each case.")
    jobs = [job if job.case else replace(job, case=f"case-{n}") for n, job in enumerate(jobs, start=1)]
    names = Counter(job.case.casefold() for job in jobs)  # folders of cases must differ on every file system
    twice = sorted({job.case for job in jobs if names[job.case.casefold()] > 1})
    if twice:
        raise UsageError(f"The worklist names {quoted(twice)} more than once; give each case a name of its own.")
    return jobs


def _jobs_of_csv(path: Path, extra: Sequence[str]) -> list[Job]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        dialect = ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
        rows = list(csv.DictReader(text.splitlines(), delimiter=dialect))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise UsageError("The worklist is not a CSV in UTF-8; save it from the spreadsheet as 'CSV UTF-8'.") from error
    header = [str(name or "").strip().lower() for name in (rows[0] if rows else [])]
    if rows and not {"case", "segmentation"} <= set(header):
        raise UsageError(
            f"The worklist lacks the column 'case' or 'segmentation'; its columns are {', '.join(COLUMNS)}."
        )
    unknown = [name for name in header if name and name not in (*COLUMNS, *extra)]
    if unknown:
        raise UsageError(f"The worklist has unknown columns {quoted(unknown)}; its columns are {', '.join(COLUMNS)}.")
    return [_job_of_row(row, path.parent) for row in rows if any(_cells(row).values())]


def _cells(row: dict[str | None, str | None | list[str]]) -> dict[str, str]:
    return {k.strip().lower(): v.strip() for k, v in row.items() if isinstance(k, str) and isinstance(v, str)}


def _job_of_row(row: dict, base: Path) -> Job:
    cells = _cells(row)
    images = {m: base / cells[m.value] for m in Modality if cells.get(m.value)}
    names = {
        kind: tuple(part.strip() for part in SEPARATOR.split(cells[kind]) if part.strip()) if cells.get(kind) else None
        for kind in ("liver", "tumor")
    }
    segmentation = base / cells["segmentation"] if cells.get("segmentation") else None
    return Job(cells.get("case", ""), images, segmentation, names["liver"], names["tumor"])


def _is_case_folder(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".") and OWN_MARK not in folder.name


def _job_of_folder(folder: Path) -> Job:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    images = {m: found for m in Modality if (found := _named(entries, m.value, IMAGE_SUFFIXES)) is not None}
    return Job(folder.name, images, _named(entries, "segmentation", SEGMENTATION_SUFFIXES))


def _named(entries: Sequence[Path], stem: str, suffixes: Sequence[str]) -> Path | None:
    """The file `stem` with the first suffix that there is, else the folder `stem`: a DICOM series."""
    files, folders = [e for e in entries if e.is_file()], [e for e in entries if e.is_dir()]
    found = (file for suffix in suffixes for file in files if file.name.lower() == stem + suffix)
    return next(found, next((folder for folder in folders if folder.name.lower() == stem), None))
