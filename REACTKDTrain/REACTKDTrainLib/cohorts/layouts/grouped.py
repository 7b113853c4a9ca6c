"""The public CT of the published layout: HCC-TACE-Seg as its authors regrouped it, one phase and one mask a patient.

    <root>/Public_CT_Grouped/<grade>/<pid>/labeled/label_phase.nii.gz, label_mask.nii.gz

The mask holds 1 liver and 2 mass; in a raw order of segments 3 and 4 would be vessels, which are no liver.
Layout: github.com/Kinetics-JOJO/REACT-KD at 74f5260.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.label_values import whole_labels
from REACTKDLib.core.files.volumes import read_raw
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.label_files import LabeledImages, LabelRule, labeled_case
from REACTKDTrainLib.cohorts.layout import Layout
from REACTKDTrainLib.cohorts.layouts.hospital import file_of, patients_by_grade
from REACTKDTrainLib.cohorts.survey import Problem, Survey

FOLDER = "Public_CT_Grouped"
LIVER, TUMOR = LabelRule(liver=(1, 2)), LabelRule(tumor=(2,))


def is_grouped(root: Path) -> bool:
    """True when `root` is, or holds, the folder of the layout."""
    return _top(Path(root)) is not None


def survey_grouped(root: Path, grades: Mapping[str, str] | None = None) -> Survey:
    """Find every patient. grades: see `grade_of_folder`.

    Problems: folders without a grade, a patient under two grades, files that are missing or cannot be read, labels
    beyond 2.
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
            problems += _odd_labels(folder.name, mask)
        except ReactkdError as error:
            problems.append(Problem(folder.name, "unreadable", str(error)))
            continue
        files = LabeledImages(folder.name, {"ct": image}, mask, mask, LIVER, TUMOR)
        cases.append(labeled_case(files, folder.name, grade, "public CT, grouped", repr((LIVER, TUMOR))))
    return Survey("public CT, grouped by grade", tuple(cases), tuple(problems))


def _top(root: Path) -> Path | None:
    return next((p for p in (root / FOLDER, root) if p.name == FOLDER and p.is_dir()), None)


def _odd_labels(patient: str, mask: Path) -> list[Problem]:
    labels, _ = whole_labels(read_raw(mask, "the mask").array, "the mask")
    values = sorted(set(np.unique(labels).tolist()) - {0, 1, 2})
    if not values:
        return []
    text = f"The mask also holds the labels {', '.join(f'{v:g}' for v in values)}, which are not counted as liver."
    return [Problem(patient, "odd-labels", text)]


LAYOUT = Layout(
    "Public_CT_Grouped (its public CT)",
    is_grouped,
    lambda root, options, _: survey_grouped(root, options.grades),
    rank=1,  # may lie beside the hospital's folders, which are asked for first
)
