"""The public CT of the published layout: HCC-TACE-Seg regrouped by its authors, with one phase and mask per patient.

    <root>/Public_CT_Grouped/<grade>/<pid>/labeled/label_phase.nii.gz, label_mask.nii.gz

The mask contains 1 liver and 2 mass; in the original order of segments, 3 and 4 would be vessels, which are not liver.
Layout: github.com/Kinetics-JOJO/REACT-KD at 74f5260.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.label_values import whole_labels
from REACTKDLib.core.files.volumes import read_raw
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.file_case import file_case
from REACTKDTrainLib.cohorts.layout import Layout
from REACTKDTrainLib.cohorts.layouts.hospital import file_of, patients_by_grade
from REACTKDTrainLib.cohorts.survey import Problem, Survey

FOLDER = "Public_CT_Grouped"
LIVER, TUMOR = (1, 2), (2,)


def is_grouped(root: Path) -> bool:
    """Return True if `root` is, or contains, the folder of the layout."""
    return _top(Path(root)) is not None


def survey_grouped(root: Path, grades: Mapping[str, str] | None = None) -> Survey:
    """Find every patient. grades: see `grade_of_folder`.

    Problems: folders without a grade, a patient in two folders, files that are missing or cannot be read, labels above
    2.
    """
    cases: list[CohortCase] = []
    found, problems = patients_by_grade(_top(Path(root)), grades)
    for folder, grade in found:
        image, mask = (file_of(folder / "labeled", stem) for stem in ("label_phase", "label_mask"))
        if image is None or mask is None:
            kind, lacking = ("no-image", "label_phase") if image is None else ("no-segmentation", "label_mask")
            problems.append(Problem(folder.name, kind, f"There is no {lacking}.nii.gz; the patient was left out."))
            continue
        try:
            labels, more = _labels(folder.name, mask)
        except ReactkdError as error:
            problems.append(Problem(folder.name, "unreadable", str(error)))
            continue
        problems += more
        liver, tumor = (tuple(str(value) for value in wanted if value in labels) for wanted in (LIVER, TUMOR))
        job = Job(folder.name, {Modality.CT: image}, mask, liver or ("1",), tumor)
        cases.append(file_case(job, folder.name, grade, "public CT, grouped", f"liver {LIVER}, tumor {TUMOR}"))
    return Survey("public CT, grouped by grade", tuple(cases), tuple(problems))


def _top(root: Path) -> Path | None:
    return next((p for p in (root / FOLDER, root) if p.name == FOLDER and p.is_dir()), None)


def _labels(patient: str, mask: Path) -> tuple[set[int], list[Problem]]:
    """Return the values of a mask, and problems with them."""
    labels, _ = whole_labels(read_raw(mask, "the mask").array, "the mask")
    values = set(np.unique(labels).tolist())
    odd = sorted(values - {0, 1, 2})
    text = f"The mask also holds the labels {', '.join(f'{v:g}' for v in odd)}, which are not counted as liver."
    return values, [Problem(patient, "odd-labels", text)] if odd else []


LAYOUT = Layout(
    "Public_CT_Grouped (its public CT)",
    is_grouped,
    lambda root, options, _: survey_grouped(root, options.grades),
    rank=1,  # may be beside the hospital's folders, which are tried first
    reads=("grades",),
)
