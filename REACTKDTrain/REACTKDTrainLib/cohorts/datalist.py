"""Writes a survey as a datalist in MONAI's decathlon format, with paths relative to the file.

    {"training": [{"id", "patient", "ct", "fdg", "acetate", "segmentation" | "liver" and "tumor", "grade", "fold",
                   "clinical"}]}

A DICOM series is represented by one of its files, which also selects the acquisition if a series contains several.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.label_values import whole_labels
from REACTKDLib.core.files.volumes import read_raw, write_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.file_case import open_on_image
from REACTKDTrainLib.cohorts.survey import Survey
from REACTKDTrainLib.cohorts.tace_case import TaceFiles


def write_datalist(survey: Survey, path: Path, folds: Mapping[str, int] | None = None) -> Path:
    """Write the cases of a survey to `path`. folds: patient -> test fold, to fix the folds.

    If a mask's own geometry is overruled by its image's (LiTS 48-52), the mask is written again on the image's grid,
    into the folder `<name>-masks` beside the file, because a datalist cannot express such a rule.

    Raises: UsageError for a survey without cases; OutputNotWritable.
    """
    path = Path(path).absolute()
    if path.suffix.lower() != ".json":
        raise UsageError(f"A datalist is written as .json, not as '{path.suffix}'; choose another name.")
    if not survey.cases:
        raise UsageError("No case was found, so there is nothing to list; see the problems above.")
    entries = [
        _entry(
            case, path, folds.get(case.patient) if folds else None, case.clinical or survey.clinical.get(case.patient)
        )
        for case in survey.cases
    ]
    content = {
        "name": path.stem,
        "description": survey.kind,
        "numTraining": len(entries),
        "numTest": 0,
        "training": entries,
        "test": [],
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path


def _entry(case: CohortCase, path: Path, fold: int | None, clinical: Mapping[str, Any] | None) -> dict[str, Any]:
    files = case.load.args[0] if getattr(case.load, "args", ()) else None
    entry: dict[str, Any] = {"id": case.id, "patient": case.patient}
    if isinstance(files, TaceFiles):
        first = min(files.slices, key=lambda piece: piece.path)
        entry |= _relative({"ct": first.path, "segmentation": files.segmentation}, path)
    elif isinstance(files, Job) and case.provenance:  # a listed case has none, as its list may hold more than this
        masks = _masks(files, case.load.func is open_on_image, path)
        entry |= _relative({**{m.value: image for m, image in files.images.items()}, **masks}, path)
    else:
        raise UsageError(
            f"These cases (the first: {case.id}) need no new list: training reads what was given (a list, a folder of "
            "case folders or phantoms) as it is; leave --datalist out."
        )
    if case.grade is not None:
        entry["grade"] = case.classes[case.grade]
    fold = case.fold if fold is None else fold
    more = {"fold": fold, "clinical": clinical}
    return entry | {key: value for key, value in more.items() if value is not None}


def _masks(files: Job, on_image: bool, path: Path) -> dict[str, Path]:
    if files.mask_files is not None:
        return dict(zip(("liver", "tumor"), files.mask_files, strict=True))
    if not on_image:
        return {"segmentation": files.segmentation}
    image = read_raw(next(iter(files.images.values())), "the CT")
    labels = read_raw(files.segmentation, "the segmentation")
    if image.array.shape != labels.array.shape or np.allclose(image.ijk_to_ras, labels.ijk_to_ras, atol=1e-3):
        return {"segmentation": files.segmentation}
    target = path.parent / f"{path.stem}-masks" / f"{files.case}.nii.gz"
    whole, _ = whole_labels(labels.array, "the segmentation")
    return {"segmentation": write_volume(Volume(whole.astype(np.uint8), image.ijk_to_ras), target)}


def _relative(paths: Mapping[str, os.PathLike | str], path: Path) -> dict[str, str]:
    """Return paths relative to the list, with forward slashes, so that the folder can be moved as a whole."""
    return {k: Path(os.path.relpath(Path(p).absolute(), path.parent)).as_posix() for k, p in paths.items()}


def folds_of(cases: Sequence[CohortCase], count: int, seed: int) -> dict[str, int]:
    """Return patient -> test fold, with balanced grades and all cases of a patient in one fold.

    Raises: see `make_folds`; UsageError for a single fold, which has no test patients.
    """
    from REACTKDTrainLib.cohorts.folds import make_folds

    if count == 1:
        raise UsageError("One fold tests no case, so there is none to fix in a list; give 2 or more, or leave it out.")
    splits = make_folds([case for case in cases if case.grade is not None], count, seed)
    return {case.patient: n for n, split in enumerate(splits) for case in split.test}
