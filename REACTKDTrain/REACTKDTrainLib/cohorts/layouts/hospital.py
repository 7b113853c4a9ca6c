"""The published hospital layout: two PET/CT pairs of each patient, one for each tracer, in folders by grade.

    <root>/Dataset/<grade>/<pid>/{FDG,ACT}/CT.nii.gz, PET.nii.gz
    <root>/Dataset_seg/<grade>/<pid>/{FDG,ACT}/CT_liver.nii.gz, CT_tumor.nii.gz
    <root>/*clinical*.csv

Each pair has its own CT, taken on another day, and is a separate case; both cases of a patient stay in the same part of
every split. Pairs whose CTs have the same grid (registered and resampled) can be joined into one case.
Layout: github.com/Kinetics-JOJO/REACT-KD at 74f5260.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.files.volumes import read_raw
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.text import quoted
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.clinical import only_sheet, read_hospital_sheet
from REACTKDTrainLib.cohorts.file_case import file_case
from REACTKDTrainLib.cohorts.layout import Layout, Pairs
from REACTKDTrainLib.cohorts.survey import Problem, Survey

TRACERS = {"FDG": Modality.FDG, "ACT": Modality.ACETATE}
IMAGES, MASKS = "Dataset", "Dataset_seg"
_SUFFIXES = (".nii.gz", ".nii")


def is_hospital(root: Path) -> bool:
    """Return True if `root` contains the two folders of the layout."""
    return all((Path(root) / name).is_dir() for name in (IMAGES, MASKS))


def grade_of_folder(name: str, names: Mapping[str, str] | None = None) -> int | None:
    """Return the grade of a folder name ('well', 'Moderately differentiated', 'G3_poor', '1'), or None.

    names: folder name -> 'well', 'moderate' or 'poor', for names that state no grade. Bare digits are indices 0, 1, 2;
    `patients_by_grade` checks that they are numbered so.

    Raises: UsageError for another grade.
    """
    if names and name in names:
        if names[name] not in GRADES:
            raise UsageError(f"The folder {name!r} cannot mean {names[name]!r}; give well, moderate or poor.")
        return GRADES.index(names[name])
    if name.strip() in ("0", "1", "2"):
        return int(name)
    words = re.split(r"[^a-z]+", name.casefold())
    named = {n for n, stem in enumerate(GRADES) for w in words if w in (stem, stem + "ly")}
    return named.pop() if len(named) == 1 else None


def survey_hospital(root: Path, pairs: Pairs = "separate", grades: Mapping[str, str] | None = None) -> Survey:
    """Find every patient and pair below `root`.

    pairs: 'separate' makes a case of each pair; 'joined' makes one case of both if their CTs have the same grid, and
    reports where they do not. grades: see `grade_of_folder`.

    Problems: folders without a grade, a patient in two folders, missing PET, CT or masks, unreadable files.
    """
    if pairs not in ("separate", "joined"):
        raise UsageError(f"Pairs can be 'separate' or 'joined', not {pairs!r}.")
    root = Path(root)
    cases: list[CohortCase] = []
    patients, problems = patients_by_grade(root / IMAGES, grades)
    for folder, grade in patients:
        found, more = _pairs_of(root, folder.parent.name, folder.name)
        problems += more
        made, more = _cases(folder.name, grade, found, pairs)
        cases += made
        problems += more
    if (root / "Public_CT_Grouped").is_dir():
        text = "Public_CT_Grouped is a cohort of its own; give that folder to look at it."
        problems.append(Problem("", "other-cohort", text))
    clinical, more = _clinical(root, {case.patient for case in cases})
    return Survey("hospital PET/CT, two tracers", tuple(cases), (*problems, *more), clinical)


def patients_by_grade(
    top: Path, grades: Mapping[str, str] | None = None
) -> tuple[list[tuple[Path, int]], list[Problem]]:
    """Return (patient's folder, grade) for `<top>/<grade>/<patient>`. A patient without a grade, or in two folders, is
    reported as a problem and left out.

    Raises: UsageError for a folder in `grades` that does not exist; see `grade_of_folder`.
    """
    absent = sorted(set(grades or ()) - {folder.name for folder in _folders(top)})
    if absent:
        raise UsageError(f"There is no folder {quoted(absent[:1])} of a grade; correct its name.")
    places: dict[str, list[tuple[Path, int | None]]] = {}
    problems: list[Problem] = []
    told = grades or {}
    numbers = {folder.name for folder in _folders(top) if folder.name.strip().isdigit()}
    # folders 1 to 3, or of which somebody says what one number means, do not count grades from 0
    unknown = numbers - told.keys() if numbers & told.keys() or {n.strip() for n in numbers} - set("012") else set()
    for folder in _folders(top):
        grade = None if folder.name in unknown else grade_of_folder(folder.name, told)
        if grade is None:
            text = (
                f"The folder {folder.name!r} names no grade, so its patients were left out; say which one it is with "
                f'--grade "{folder.name}=well" (or moderate, poor).'
            )
            problems.append(Problem("", "grade-unknown", text))
        for patient in _folders(folder):
            places.setdefault(patient.name, []).append((patient, grade))
    found: list[tuple[Path, int]] = []
    for name, own in places.items():
        within = " and ".join(repr(folder.parent.name) for folder, _ in own)
        if len(own) > 1:
            text = f"The patient lies in {within} and was left out; keep the folder of the right grade."
            problems.append(Problem(name, "two-grades", text))
        elif own[0][1] is None:
            text = f"The patient lies in {within}, which names no grade, and was left out."
            problems.append(Problem(name, "grade-unknown", text))
        else:
            found.append(own[0])
    return found, problems


def _folders(top: Path) -> list[Path]:
    return sorted(p for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))


def _pairs_of(root: Path, grade: str, patient: str) -> tuple[dict[Modality, Job], list[Problem]]:
    """Return tracer -> the files of its pair."""
    found: dict[Modality, Job] = {}
    problems = []
    for folder, modality in TRACERS.items():
        images, masks = root / IMAGES / grade / patient / folder, root / MASKS / grade / patient / folder
        if not images.is_dir():
            continue
        name = f"{patient}-{folder}"
        files = {n: file_of(images, n) for n in ("CT", "PET")} | {
            n: file_of(masks, n) for n in ("CT_liver", "CT_tumor")
        }
        if files["CT"] is None:
            problems.append(Problem(name, "no-image", "There is no CT.nii.gz; the pair was left out."))
        elif files["CT_liver"] is None or files["CT_tumor"] is None:
            lacking = " and ".join(n for n in ("CT_liver", "CT_tumor") if files[n] is None)
            problems.append(Problem(name, "no-segmentation", f"There is no {lacking}.nii.gz; the pair was left out."))
        else:
            if files["PET"] is None:
                problems.append(Problem(name, "pet-missing", "There is no PET.nii.gz; the CT is used alone."))
            volumes = {Modality.CT: files["CT"]} | ({modality: files["PET"]} if files["PET"] else {})
            found[modality] = Job(name, volumes, mask_files=(files["CT_liver"], files["CT_tumor"]))
    if not found and not problems:
        problems.append(Problem(patient, "no-image", "There is neither an FDG nor an ACT folder with images."))
    others = [path.name for path in _folders(root / IMAGES / grade / patient) if path.name not in TRACERS]
    if others:
        text = f"What lies in {quoted(others)} was passed over, since the tracers' folders are called FDG and ACT."
        problems.append(Problem(patient, "not-matched", text))
    return found, problems


def _cases(
    patient: str, grade: int, found: dict[Modality, Job], pairs: Pairs
) -> tuple[list[CohortCase], list[Problem]]:
    problems: list[Problem] = []
    wanted = list(found.values())
    if pairs == "joined" and len(found) == 2:
        first, second = wanted
        try:
            if _one_grid(first.images[Modality.CT], second.images[Modality.CT]):
                images = first.images | {m: path for m, path in second.images.items() if m is not Modality.CT}
                wanted = [replace(first, case=patient, images=images)]
            else:
                text = "The two CTs lie on different grids, so the pairs cannot be joined without registration."
                problems.append(Problem(patient, "not-joined", text))
        except ReactkdError as error:
            return [], [Problem(patient, "unreadable", str(error))]
    made = [file_case(job, patient, grade, "hospital layout", *(m.value for m in job.images)) for job in wanted]
    return made, problems


def _clinical(root: Path, patients: set[str]) -> tuple[dict[str, dict], list[Problem]]:
    sheets = sorted(
        p
        for p in root.glob("*.csv")
        if "clinical" in p.name.casefold() and "public" not in p.name.casefold() and not p.name.startswith(".")
    )
    if not sheets:
        return {}, []
    try:
        rows = read_hospital_sheet(only_sheet(sheets))
    except ReactkdError as error:
        return {}, [Problem("", "clinical-sheet", str(error))]
    absent = sorted(patients - set(rows))
    problems = [Problem(p, "not-in-sheet", "The clinical sheet has no row for this patient.") for p in absent]
    return {p: rows[p].to_metadata() for p in sorted(patients & set(rows))}, problems


def file_of(folder: Path, stem: str) -> Path | None:
    """Return the file `stem` of a folder, compressed or not."""
    return next((folder / f"{stem}{s}" for s in _SUFFIXES if (folder / f"{stem}{s}").is_file()), None)


def _one_grid(a: Path, b: Path) -> bool:
    first, second = read_raw(a, "the CT"), read_raw(b, "the CT")
    return first.array.shape == second.array.shape and bool(np.allclose(first.ijk_to_ras, second.ijk_to_ras, atol=1e-2))


LAYOUT = Layout(
    "Dataset and Dataset_seg (hospital)",
    is_hospital,
    lambda root, options, _: survey_hospital(root, options.pairs, options.grades),
    rank=0,
    reads=("pairs", "grades"),
)
