"""A list of cases: a CSV with a row for each, a folder with a folder for each, or a datalist in MONAI's form."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from REACTKDLib.core.cases.column_names import with_usual_names
from REACTKDLib.core.cases.datalist import jobs_of_datalist
from REACTKDLib.core.cases.extra_columns import refused_columns
from REACTKDLib.core.cases.job import ALLOWED, Job, check_allowed, is_allowed
from REACTKDLib.core.cases.names import on_disk
from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.files.volumes import SUFFIXES
from REACTKDLib.core.modality import MODALITIES, Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

COLUMNS = ("case", *MODALITIES, "segmentation", "liver", "tumor", ALLOWED)
#: columns of a CSV for training, which the reading room and a batch ignore, so that all accept the same list
LABELS = ("grade", "patient", "fold")
SEPARATOR = re.compile(r"[;|]")
SEGMENTATION_SUFFIXES = (".seg.nrrd", *SUFFIXES, ".dcm")
#: contained in the names of all files and folders that the reading room writes beside a list, so that none is taken for
#: a case
OWN_MARK = ".reactkd"


def read_worklist(path: Path, task: Task = HCC_GRADE) -> list[Job]:
    """Return the jobs of a CSV, of a folder or of a datalist, in its order.

    A case without a name is called "case-3" or similar.

    CSV: a header, and columns as in `read_table`: case and segmentation, and any of ct, fdg, acetate, liver, tumor,
    different_patients_ok (yes or no); liver and tumor may also be called organ and lesion, or have the names of the
    task. Columns in `LABELS`, and others without files, are ignored. Paths are relative to the CSV; several segments
    are separated by ";" or "|". Folder: each folder in it is a case with that name and contains CT, FDG, ACETATE and
    segmentation files (those of `SUFFIXES`; .seg.nrrd or .dcm too for the segmentation), or DICOM series as folders of
    these names, in any case of letters. Datalist: see `core.cases.datalist`.

    Raises: FileMissing, UsageError (unreadable, without cases, a case named twice, or one image as several files).
    """
    return [job for job, _row in read_listed(path, task)]


def read_listed(path: Path, task: Task = HCC_GRADE) -> list[tuple[Job, dict[str, str]]]:
    """Like `read_worklist`, but return each job with the cells of its row of a CSV."""
    path = Path(path)
    if os.path.isdir(path):
        listed = [(_job_of_folder(folder), {}) for folder in sorted(path.iterdir()) if _is_case_folder(folder)]
    elif os.path.isfile(path) and path.suffix.lower() == ".json":
        listed = [(job, {}) for job in jobs_of_datalist(path, task)]
    elif os.path.isfile(path):
        listed = _jobs_of_csv(path, task)
    else:
        text = _(
            "There is no worklist at the path given; give a CSV file, a datalist (.json) or a folder of case folders."
        )
        raise FileMissing(text)
    if not listed and os.path.isdir(path) and _job_of_folder(path).images:
        raise UsageError(_("The folder given as the worklist is one case; give the folder that it lies in."))
    if not listed:
        raise UsageError(
            _("The worklist holds no case; give a CSV with a row, or a folder with a folder, for each case.")
        )
    listed = [(job if job.case else replace(job, case=f"case-{n}"), row) for n, (job, row) in enumerate(listed, 1)]
    _check_names([job.case for job, _row in listed])
    return listed


def has_case_folders(path: Path) -> bool:
    """Return True if a folder in `path` is a case: it contains CT, FDG or ACETATE, as files or as DICOM folders."""
    return any(entry.is_dir() for entry in path.iterdir()) and any(job.images for job in read_worklist(path))


def _check_names(names: Sequence[str]) -> None:
    """Raise UsageError for cases whose folders would coincide on some file system."""
    counts = Counter(map(on_disk, names))
    twice = sorted({name for name in names if counts[on_disk(name)] > 1})
    if twice:
        raise UsageError(
            _("The worklist names {twice} more than once; give each case a name of its own."), twice=quoted(twice)
        )


def _jobs_of_csv(path: Path, task: Task) -> list[tuple[Job, dict[str, str]]]:
    table = read_table(path, _("the worklist"), ("case", "segmentation"))
    rows = [with_usual_names(row, task) for row in table.rows]
    named = with_usual_names(dict.fromkeys(table.columns), task)
    unknown = refused_columns([named, *rows], (*COLUMNS, *LABELS))
    if unknown:
        text = _("The worklist has unknown columns {unknown}; its columns are {columns}.")
        own = {kind: str(task.structure(kind).name).lower() for kind in ("liver", "tumor")}
        columns = [own.get(name, name) for name in (*COLUMNS, *LABELS)]
        raise UsageError(text, unknown=quoted(unknown), columns=", ".join(columns))
    check_allowed((row.get("case") or f"case-{n}", row.get(ALLOWED)) for n, row in enumerate(rows, 1))
    return [(_job_of_row(row, path.parent), row) for row in rows]


def _job_of_row(cells: dict[str, str], base: Path) -> Job:
    images = {m: base / cells[m.value] for m in Modality if cells.get(m.value)}
    names = {
        kind: tuple(part.strip() for part in SEPARATOR.split(cells[kind]) if part.strip()) if cells.get(kind) else None
        for kind in ("liver", "tumor")
    }
    segmentation = base / cells["segmentation"] if cells.get("segmentation") else None
    job = Job(cells.get("case", ""), images, segmentation, names["liver"], names["tumor"])
    return replace(job, different_patients_ok=is_allowed(cells.get(ALLOWED)))


def _is_case_folder(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".") and OWN_MARK not in folder.name


def _job_of_folder(folder: Path) -> Job:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:  # such as a system folder, which every volume has
        return Job(folder.name, {}, None)
    images = {m: found for m in Modality if (found := _named(folder, entries, m.value, SUFFIXES)) is not None}
    return Job(folder.name, images, _named(folder, entries, "segmentation", SEGMENTATION_SUFFIXES))


def _named(folder: Path, entries: Sequence[Path], stem: str, suffixes: Sequence[str]) -> Path | None:
    """The file `stem` with a suffix, or the folder `stem`: a DICOM series. Raises: UsageError for several."""
    files = {stem + suffix for suffix in suffixes}
    named = [entry for entry in entries if entry.name.lower() in {stem, *files}]  # a disk access for each takes longer
    found = [entry for entry in named if (entry.is_file() if entry.name.lower() in files else entry.is_dir())]
    if len(found) > 1:
        text = _("The folder '{case}' holds {files}, of which each may be the {image}; keep one, or give a CSV.")
        raise UsageError(text, case=folder.name, files=quoted(entry.name for entry in found), image=stem)
    return found[0] if found else None
