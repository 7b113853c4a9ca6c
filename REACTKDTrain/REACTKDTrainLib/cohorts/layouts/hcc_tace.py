"""HCC-TACE-Seg (TCIA): CT with liver and tumor segmented, and a differentiation grade from the clinical sheet.

The files come in several folder layouts, so they are found by their headers. Segments are identified by label, never by
number. A series with several contrast phases is split; the phase is chosen by preference and by measurement. A grade
counts only by exact match: 81 of the 105 patients have one.

Data: doi.org/10.7937/TCIA.5FNA-0924; descriptor: Moawad et al., Scientific Data 10:33 (2023).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from REACTKDLib.core.cases.worklist import has_case_folders
from REACTKDLib.core.errors import ReactkdError, Ungraded, UsageError
from REACTKDLib.core.files.dicom.index import FolderIndex, Series, files_below, index_folder
from REACTKDLib.core.files.dicom.remarks import remarks_on
from REACTKDLib.core.files.dicom.seg_objects import segmentation_objects
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.files.dicom.series import is_dicom_source
from REACTKDLib.core.files.dicom.sources import check_together
from REACTKDLib.core.files.fingerprint import fingerprint_of
from REACTKDLib.core.files.segments import Segmentation
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.text import plural, quoted
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.clinical import MIXED, ClinicalRow, grade_of_text, only_sheet, read_hcc_tace_sheet
from REACTKDTrainLib.cohorts.layout import AS_IT_IS, Layout, LayoutOptions
from REACTKDTrainLib.cohorts.survey import Problem, Survey
from REACTKDTrainLib.cohorts.tace_case import (
    KNOWN,
    LIVER,
    TUMOR,
    TaceFiles,
    label_of,
    open_tace,
    segments_named,
    voxel_ml,
)
from REACTKDTrainLib.cohorts.tace_scan import candidates_of, choose_scan
from REACTKDTrainLib.content_store import content_key

NAME = re.compile(r"HCC_\d{3}")
HIDDEN = "dicom-"
SHEET = "HCC-TACE-Seg_clinical_data*.xlsx"
SMALL_LIVER_ML = 300.0
LARGE_TUMOR_SHARE = 1.0


def is_hcc_tace(root: Path, most: int = 200) -> bool:
    """Return True if one of the first `most` files below `root` is a DICOM object, and no folder in it is a case."""
    return any(is_dicom_source(path) for _, path in zip(range(most), files_below(root))) and not has_case_folders(root)


def survey_hcc_tace(root: Path, options: LayoutOptions = AS_IT_IS, on_progress: OnProgress = no_progress) -> Survey:
    """Find every patient below `root`, regardless of folder names.

    Problems, by patient: no segmentation, no CT for it, the segmentation outside its CT, several phases in one series
    (with the chosen one), missing or mixed grades, unusual sizes and segments, unreadable files. on_progress: as in
    `index_folder`; the index is the first half.

    Raises: FileMissing, PackagesMissing, UsageError for an invalid sheet, for two sheets that disagree, and for names
    of patients who do not exist or that are not of the form HCC_NNN.
    """
    root = Path(root)
    grade_of_text("", options.mixed)  # refuse an invalid option before anything is read
    _check_form(options.names)
    index = index_folder(root, lambda fraction, text: on_progress(fraction / 2, text))
    strangers = sorted(set(options.names) - {series.patient for series in index.series})
    if strangers:
        raise UsageError(f"The folder has no patient {quoted(strangers[:1])}, who was to be renamed; correct the name.")
    rows, problems = _clinical(root, options)
    patients = _by_patient(index, options.names, root)
    problems += _of_folder(index, patients)
    cases: list[CohortCase] = []
    for number, (patient, series) in enumerate(sorted(patients.items())):
        on_progress(0.5 + 0.5 * number / len(patients), patient)
        try:
            case = _case(patient, series, rows, options, problems)
        except (ReactkdError, OSError) as error:
            problems.append(Problem(patient, "unreadable", str(error)))
            continue
        cases += [] if case is None else [case]
    on_progress(1.0, f"{len(patients)} patients")
    absent = sorted(set(rows) - set(patients))
    if absent and patients:
        text = f"The clinical sheet has {plural(len(absent), 'patient')} without images here: {quoted(absent, 6)}."
        problems.append(Problem("", "no-images-of-rows", text))
    clinical = {c.patient: rows[c.patient].to_metadata() for c in cases if c.patient in rows}
    kind = "HCC-TACE-Seg" if any(NAME.fullmatch(p) for p in patients) else "DICOM, read as HCC-TACE-Seg"
    return Survey(kind, tuple(cases), tuple(problems), clinical)


def grade_of_patient(rows: Mapping[str, ClinicalRow], patient: str) -> int:
    """Return the grade of a patient in the sheet. Raises: Ungraded, with the content of the sheet."""
    row = rows.get(patient)
    if row is None:
        raise Ungraded(f"The clinical sheet has no row for {patient}, so there is no grade to learn from.")
    if row.grade is None:
        kind = "a mixed grade" if row.grade_text.casefold() in MIXED else "no grade"
        raise Ungraded(f"{patient} carries {kind} (the sheet says '{row.grade_text}'); it is not guessed.")
    return row.grade


# -- one patient


def _case(
    patient: str,
    found: Sequence[Series],
    rows: Mapping[str, ClinicalRow],
    options: LayoutOptions,
    problems: list[Problem],
) -> CohortCase | None:
    grade = _grade(patient, rows, options, problems)
    seg = _segmentation_series(patient, found, problems)
    if seg is None:
        return None
    path = seg.slices[0].path
    file = read_dicom_segmentation(path)
    if not _look_at(patient, file, problems):
        return None
    problems += _visit_problems(patient, seg, found, rows.get(patient))
    chosen = choose_scan(patient, file, candidates_of(patient, seg, found, file, problems), options.phase, problems)
    if chosen is None or (grade is None and options.missing == "leave-out"):
        return None
    acquisition, words = chosen
    problems += _axes_problem(patient, file, acquisition.series)
    together = check_together(acquisition.series, Modality.CT, path, bool(options.names))
    problems += [Problem(patient, finding.code, finding.message) for finding in together]
    remarks = remarks_on(acquisition.series, acquisition.slices, "the CT")
    problems += [Problem(patient, remark.code, remark.message) for remark in remarks]
    files = TaceFiles(patient, acquisition.series, tuple(acquisition.slices), path, words)
    return CohortCase(
        id=patient,
        patient=patient,
        grade=grade,
        modalities=("ct",),
        load=partial(open_tace, files),
        # A SOP instance UID identifies its content permanently, so the slices need not be read.
        fingerprint=fingerprint_of([Path(path)], *sorted(piece.uid for piece in acquisition.slices)),
        provenance=f"HCC-TACE-Seg, series {acquisition.series.title}, acquisition {acquisition.number} of "
        f"{acquisition.of}, {words}",
        image_files=(Path(min(piece.path for piece in acquisition.slices)),),
    )


def _grade(
    patient: str, rows: Mapping[str, ClinicalRow], options: LayoutOptions, problems: list[Problem]
) -> int | None:
    if not rows and options.missing == "keep":
        return None  # without a sheet no patient has a grade, which is reported once
    try:
        grade = grade_of_patient(rows, patient)
    except Ungraded as error:
        code = "ungraded" if options.missing == "leave-out" else "no-grade"
        problems.append(Problem(patient, code, str(error)))
        return None
    if rows[patient].grade_text.casefold() in MIXED:
        text = f"The sheet says '{rows[patient].grade_text}'; the {options.mixed} of the two was taken, as asked."
        problems.append(Problem(patient, "mixed-grade", text))
    return grade


def _segmentation_series(patient: str, found: Sequence[Series], problems: list[Problem]) -> Series | None:
    segs = [s for s in found if s.modality == "SEG"]
    if not segs:
        problems.append(
            Problem(patient, "no-segmentation", "There is no DICOM segmentation; the patient was left out.")
        )
        return None
    # Of several visits, the first is the baseline; within a visit, only a person can decide which version counts.
    of_visit = {piece.uid: piece.path for s in segs if s.study_uid == segs[0].study_uid for piece in s.slices}
    if len(of_visit) > 1:
        titles = quoted(thing.title for path in of_visit.values() for thing in segmentation_objects(path))
        text = f"One study has {len(of_visit)} segmentations ({titles}); the patient was left out, so keep one of them."
        problems.append(Problem(patient, "several-segmentations", text))
        return None
    if len(segs) > 1:
        text = f"There are {sum(len(s.slices) for s in segs)} segmentations; the earliest one was taken."
        problems.append(Problem(patient, "segmentation-chosen", text))
    return segs[0]


def _look_at(patient: str, file: Segmentation, problems: list[Problem]) -> bool:
    """Report unusual segments; return False without a liver."""
    labels = [label_of(s.name) for s in file.segments]
    odd = [s.name for s, label in zip(file.segments, labels, strict=True) if label not in KNOWN]
    if odd:
        problems.append(
            Problem(patient, "odd-segments", f"The segments {quoted(odd)} are not known and were left out.")
        )
    if "necrosis" in labels:
        text = "There is a segment Necrosis beside Mass; it counts as tumor."
        problems.append(Problem(patient, "necrosis", text))
    liver, tumor = file.mask(segments_named(file, LIVER)), file.mask(segments_named(file, TUMOR))
    if not liver.any():
        problems.append(Problem(patient, "no-labels", "No segment Liver with a voxel in it; the patient was left out."))
        return False
    whole, mass = (float(m.sum()) * voxel_ml(file.ijk_to_ras) for m in (liver | tumor, tumor))
    if not tumor.any():
        problems.append(Problem(patient, "no-tumor", "No tumor is segmented."))
    if whole < SMALL_LIVER_ML:
        problems.append(
            Problem(patient, "small-liver", f"The segmented liver has {whole:.0f} ml, which is no whole liver.")
        )
    rest = max(whole - mass, 1e-3)
    if mass / rest > LARGE_TUMOR_SHARE:
        problems.append(
            Problem(patient, "large-tumor", f"The tumor has {mass / rest:.2g} times the volume of other liver.")
        )
    return True


def _visit_problems(patient: str, seg: Series, found: Sequence[Series], row: ClinicalRow | None) -> list[Problem]:
    problems = []
    dates = sorted({s.study_date for s in found if s.modality == "CT" and s.study_date})
    if dates and seg.study_date and seg.study_date > dates[0]:
        text = "The segmentation belongs to a later study than the first, so the scan may be after treatment."
        problems.append(Problem(patient, "not-baseline", text))
    days = next(
        (s.days_from_event for s in found if s.study_uid == seg.study_uid and s.days_from_event is not None), None
    )
    if row and days is not None and row.days_from_diagnosis is not None and abs(days) != abs(row.days_from_diagnosis):
        text = (
            f"The header says day {days:.0f} from diagnosis, the sheet {row.days_from_diagnosis} for the baseline scan."
        )
        problems.append(Problem(patient, "another-visit", text))
    return problems


# -- axes, sheet, patients


def _axes_problem(patient: str, file: Segmentation, series: Series) -> list[Problem]:
    rows = file.ijk_to_ras[:3, 0] * (-1, -1, 1)
    along = float(rows @ series.orientation[:3]) / float((rows @ rows) ** 0.5)
    if along > 0.99:
        return []
    text = "The segmentation's rows and columns run against the CT's; it was placed by its own axes."
    return [Problem(patient, "other-axes", text)]


def _clinical(root: Path, options: LayoutOptions) -> tuple[dict[str, ClinicalRow], list[Problem]]:
    path = options.sheet or only_sheet(root.rglob(SHEET), "keep one, or name it with --sheet")
    if path is None:
        text = f"There is no clinical sheet ({SHEET}); without it no case carries a grade. Give it with --sheet."
        return {}, [Problem("", "no-sheet", text)]
    return read_hcc_tace_sheet(path, options.mixed), []


def _check_form(names: Mapping[str, str]) -> None:
    """Raise UsageError for a new name that is not one of the data set's patients."""
    for given, name in names.items():
        if not NAME.fullmatch(name):
            raise UsageError(
                f"The patient {quoted([given])} cannot be renamed to {quoted([name])}; give HCC_ and three digits."
            )


def _of_folder(index: FolderIndex, patients: Mapping[str, Sequence[Series]]) -> list[Problem]:
    problems = []
    if not patients:
        seen = quoted(sorted({s.modality or "unknown" for s in index.series})) or "nothing that can be read"
        text = f"The DICOM files hold no CT and no segmentation (they hold {seen}), so there is no case."
        problems.append(Problem("", "no-image", text))
    hidden = [patient for patient in patients if patient.startswith(HIDDEN)]
    if hidden:
        text = (
            f"{plural(len(hidden), 'patient')} whose header does not say that the identity was removed "
            f"{'is' if len(hidden) == 1 else 'are'} named by a hash of the PatientID: {quoted(hidden, 6)}."
        )
        problems.append(Problem("", "names-hidden", text))
    return problems


def _by_patient(index: FolderIndex, names: Mapping[str, str], root: Path) -> dict[str, list[Series]]:
    """Return series by HCC_NNN: from the given names, the PatientID, the path below `root`, or the name of the folder
    itself if it is nothing else; otherwise by `_shown`.
    """
    patients: dict[str, list[Series]] = {}
    of_root = root.resolve().name if NAME.fullmatch(root.resolve().name) else ""
    for series in index.series:
        if series.modality not in ("CT", "SEG"):
            continue
        name = names.get(series.patient) or series.patient
        if not NAME.fullmatch(name):
            in_path = NAME.findall(os.path.relpath(series.slices[0].path, root)) or NAME.findall(of_root)
            name = in_path[-1] if in_path else _shown(series, name)
        patients.setdefault(name, []).append(series)
    return patients


def _shown(series: Series, name: str) -> str:
    """Return the PatientID of a de-identified series; otherwise a hash, since ids appear in lists and reports."""
    if series.identity_removed and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        return name
    return HIDDEN + content_key(series.patient)[:8]


LAYOUT = Layout(
    "DICOM with segmentations",
    is_hcc_tace,
    survey_hcc_tace,
    rank=9,  # matches any DICOM, so tried last
    reads=("mixed", "missing", "phase", "sheet", "names"),
)
