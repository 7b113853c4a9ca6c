"""Cohorts of files: a datalist in MONAI's form, a worklist with grades, or a folder in a layout that is known."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from REACTKDLib.core.case import Case, Modality
from REACTKDLib.core.datalist import KEYS, with_own_keys
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.open_case import open_case
from REACTKDLib.core.text import quoted
from REACTKDLib.core.worklist import Job, read_worklist
from REACTKDTrainLib.cohorts.base import GRADES, Cohort, CohortCase
from REACTKDTrainLib.cohorts.fingerprint import fingerprint_of
from REACTKDTrainLib.cohorts.label_files import LabeledImages, open_labeled
from REACTKDTrainLib.cohorts.survey import Survey

IMAGES = ("ct", "fdg", "acetate")


def listed_cohort(path: Path) -> Cohort:
    """Open a datalist (.json), a worklist (.csv) or a folder.

    Folder: the published hospital layout or its public CT, LiTS17 or MSD Task03, HCC-TACE-Seg (DICOM), or a folder of
    case folders, with grades in `grades.csv` (columns case, grade and, where patients have several cases, patient).
    Raises: UsageError, and what the readers raise.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return datalist_cohort(path)
    if path.is_dir():
        from REACTKDTrainLib.cohorts.layouts import survey_folder

        survey = survey_folder(path)
        if survey is not None:
            return of_survey(survey)
        _check_case_folders(path)
        return _worklist_cohort(path, _grades_file(path / "grades.csv"))
    return _worklist_cohort(path, _grades_file(path))


def of_survey(survey: Survey) -> Cohort:
    """The cases that a survey found, with what the clinical sheet says; what it left out is kept as skipped."""
    cases = tuple(replace(case, clinical=survey.clinical.get(case.patient)) for case in survey.cases)
    return Cohort(survey.kind, cases, skipped=survey.skipped)


def grade_of(value: Any, case: str) -> int | None:
    """'well', 'moderate', 'poor', 0, 1 or 2, or nothing -> index or None. Raises: UsageError that names the case."""
    told = str("" if value is None else value).strip().lower()
    if told in ("", "none", "na", "n/a"):
        return None
    known = {name: n for n, name in enumerate(GRADES)} | {str(n): n for n in range(len(GRADES))}
    if told not in known:
        raise UsageError(f"Case {quoted([case])} has the grade {value!r}; give well, moderate or poor (or 0, 1, 2).")
    return known[told]


# -- datalists


def datalist_cohort(path: Path) -> Cohort:
    """{"training": [{"id", "patient", "ct", "fdg", "acetate", "segmentation" or "liver" and "tumor", "grade", "fold",
    "clinical"}]}, or MONAI's own keys "image" and "label" (see `core.datalist`).

    Paths are relative to the file. Raises: UsageError, FileMissing.
    """
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"The datalist {path.name} is not readable JSON; correct the file.") from error
    entries = told.get("training") if isinstance(told, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise UsageError(f'The datalist {path.name} must be an object with a list "training" of cases.')
    entries = [with_own_keys(entry, told, f"case-{n:04d}") for n, entry in enumerate(entries)]
    cases = tuple(_entry(entry, n, Path(path).parent) for n, entry in enumerate(entries))
    return Cohort(str(told.get("name") or Path(path).stem), cases, description=str(told.get("description", "")))


def _entry(entry: Mapping[str, Any], number: int, base: Path) -> CohortCase:
    name = str(entry.get("id") or f"case-{number:04d}")
    unknown = sorted(set(entry) - set(KEYS))
    if unknown:
        raise UsageError(
            f"Case {quoted([name])} of the datalist has the unknown key {unknown[0]!r}; known are {', '.join(KEYS)}."
        )
    images = {m: base / str(entry[m]) for m in IMAGES if entry.get(m)}
    masks = {k: base / str(entry[k]) for k in ("segmentation", "liver", "tumor") if entry.get(k)}
    if not images or not ("segmentation" in masks or {"liver", "tumor"} <= set(masks)):
        raise UsageError(
            f"Case {quoted([name])} of the datalist needs an image (ct, fdg or acetate) and a segmentation, or liver "
            "and tumor masks."
        )
    fold = entry.get("fold")
    if fold is not None and (isinstance(fold, bool) or not isinstance(fold, int) or fold < 0):
        raise UsageError(f"Case {quoted([name])} of the datalist has the fold {fold!r}; give a whole number from 0.")
    if "segmentation" in masks:
        load = partial(_open, name, images, masks["segmentation"], None, None)
    else:
        load = partial(open_labeled, LabeledImages(name, images, masks["liver"], masks["tumor"]))
    clinical = entry.get("clinical")
    if clinical is not None and not isinstance(clinical, dict):
        raise UsageError(
            f"Case {quoted([name])} of the datalist has clinical data that are no object; give names and values."
        )
    patient = str(entry.get("patient") or name)
    case = _case(name, patient, grade_of(entry.get("grade"), name), images, [*masks.values()], load, fold)
    return replace(case, clinical=clinical)


# -- worklists and folders of cases


def _worklist_cohort(path: Path, grades: Mapping[str, Mapping[str, str]]) -> Cohort:
    jobs = _jobs(path)
    unknown = sorted(set(grades) - {job.case for job in jobs})
    if unknown:
        raise UsageError(f"grades.csv names {quoted(unknown)}, for which there is no case; correct the names.")
    cases = tuple(_of_job(job, grades.get(job.case, {})) for job in jobs)
    return Cohort(path.stem if path.is_file() else path.name, cases)


def has_case_folders(path: Path) -> bool:
    """True when a folder in `path` is a case: it holds CT, FDG or ACETATE, as files or as folders of DICOM."""
    return any(entry.is_dir() for entry in path.iterdir()) and any(job.images for job in _jobs(path))


def _check_case_folders(path: Path) -> None:
    """Raise UsageError where no folder in `path` is a case: then the whole layout is another, not one case wrong."""
    if not has_case_folders(path):
        raise UsageError(
            "The folder is no cohort that is known: it holds neither Dataset and Dataset_seg (hospital), nor volume-N "
            "and segmentation-N (LiTS), nor imagesTr and labelsTr (MSD), nor DICOM with segmentations, nor a folder "
            "for each case with CT.nii.gz and segmentation.seg.nrrd; give the folder above or below, or a datalist "
            "(.json)."
        )


def _of_job(job: Job, row: Mapping[str, str]) -> CohortCase:
    images = {m.value: p for m, p in job.images.items()}
    if not images or job.segmentation is None:
        raise UsageError(f"Case {quoted([job.case])} has no image or no segmentation; complete it, or take it out.")
    load = partial(_open, job.case, images, job.segmentation, job.liver, job.tumor)
    grade = grade_of(row.get("grade"), job.case)
    return _case(job.case, row.get("patient") or job.case, grade, images, [job.segmentation], load, None)


def _jobs(path: Path) -> list[Job]:
    """As the reading room's worklist, with the columns `grade` and `patient` beside its own."""
    return read_worklist(path, extra=("grade", "patient"))


def _grades_file(path: Path) -> dict[str, dict[str, str]]:
    """case -> its row; nothing where there is no file or no grade in it."""
    if not path.is_file():
        return {}
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path.name} is not a CSV in UTF-8; save it again as 'CSV UTF-8'.") from error
    found = [{str(k).strip().lower(): str(v or "").strip() for k, v in row.items() if k} for row in rows]
    return {row["case"]: row for row in found if row.get("case") and "grade" in row}


def _case(
    name: str,
    patient: str,
    grade: int | None,
    images: Mapping[str, Path],
    masks: Sequence[Path],
    load: partial[Case],
    fold: int | None,
) -> CohortCase:
    files = [file for path in (*images.values(), *masks) for file in _files_at(path)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        # the case is told as unreadable when it is opened, so that it can be skipped
        fingerprint = "missing " + name
    else:
        fingerprint = fingerprint_of(files, name)
    return CohortCase(name, patient, grade, tuple(images), load, fingerprint, fold)


def _files_at(path: Path) -> list[Path]:
    """A file, or all files of a DICOM folder."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _open(
    name: str,
    images: Mapping[str, Path],
    segmentation: Path,
    liver: tuple[str, ...] | None,
    tumor: tuple[str, ...] | None,
) -> Case:
    given = {Modality(m).value: path for m, path in images.items()}
    return open_case(**given, segmentation=segmentation, liver=liver, tumor=tumor, case_id=name)
