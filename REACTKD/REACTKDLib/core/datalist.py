"""A datalist in MONAI's decathlon form as a list of jobs; training reads the same files, with their grades.

    {"training": [{"id", "ct", "fdg", "acetate", "segmentation" | "liver" and "tumor", "patient", "grade", "fold"}]}

Lists "validation" and "test" of the same form are read after "training". Paths are relative to the file. Patient, grade
and fold are for training and are not read here: a reader should not see the answer first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from REACTKDLib.core.case import Modality
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.text import quoted
from REACTKDLib.core.worklist import Job

PARTS = ("training", "validation", "test")
FILES = (*(m.value for m in Modality), "segmentation", "liver", "tumor")
KEYS = ("id", "patient", *FILES, "grade", "fold")


def jobs_of_datalist(path: Path) -> list[Job]:
    """Return the jobs of a datalist, in its order; a case without an id is named by its number, as in training.

    Raises: UsageError for a file that is not such a list, or a case with keys that are not known.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError("The datalist is not readable JSON; correct the file.") from error
    if isinstance(told, dict) and str(told.get("schema", "")).startswith("reactkd-review"):
        raise UsageError("This file holds the review of a list; open the list itself, which lies beside it.")
    parts = [told.get(part) or [] for part in PARTS] if isinstance(told, dict) else []
    if not parts or not all(isinstance(part, list) for part in parts):
        raise UsageError('The datalist must be an object with a list "training" of cases.')
    entries = [entry for part in parts for entry in part]
    if not all(isinstance(entry, dict) for entry in entries):
        raise UsageError('A case of the datalist is not an object; each needs keys such as "id", "ct", "segmentation".')
    return [_job(entry, number, path.parent) for number, entry in enumerate(entries)]


def _job(entry: Mapping[str, Any], number: int, base: Path) -> Job:
    name = str(entry.get("id") or f"case-{number:04d}")
    unknown = sorted(set(entry) - set(KEYS))
    if unknown:
        raise UsageError(
            f"Case {quoted([name])} of the datalist has the unknown key {unknown[0]!r}; known are {', '.join(KEYS)}."
        )
    not_text = [key for key in FILES if entry.get(key) and not isinstance(entry[key], str)]
    if not_text:
        raise UsageError(f"Case {quoted([name])} of the datalist has {not_text[0]!r} that is not text; give one path.")
    files = {key: base / entry[key] for key in FILES if entry.get(key)}
    images = {m: files[m.value] for m in Modality if m.value in files}
    masks = (files["liver"], files["tumor"]) if {"liver", "tumor"} <= set(files) else None
    segmentation = files.get("segmentation")
    return Job(name, images, segmentation, mask_files=masks if segmentation is None else None)
