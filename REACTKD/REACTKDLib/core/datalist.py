"""A datalist in MONAI's decathlon form as a list of jobs; training reads the same files, with their grades.

    {"training": [{"id", "ct", "fdg", "acetate", "segmentation" | "liver" and "tumor", "patient", "grade", "fold"}]}

Lists "validation" and "test" of the same form are read after "training". Paths are relative to the file. Patient,
grade, fold and clinical data are for training and are not read here: a reader should not see the answer first.

Lists by others, such as that of MSD Task03_Liver, have MONAI's own keys instead: "image" (a path, or one for each
channel of "modality") and "label" (the masks' path, or the grade as a number); in "test" a path alone is an image.
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
KEYS = ("id", "patient", *FILES, "grade", "fold", "clinical")
_CHANNELS = (("acet", "acetate"), ("fdg", "fdg"), ("pet", "fdg"), ("ct", "ct"))  # words in the name of a channel


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
    named = [with_own_keys(entry, told, f"case-{number:04d}") for number, entry in enumerate(entries)]
    return [_job(entry, number, path.parent) for number, entry in enumerate(named)]


def with_own_keys(entry: Any, told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an entry with MONAI's "image" and "label" as this project's keys; others as they are.

    told: the whole list, whose "modality" names the channels. name: of an entry without an id.
    Raises: UsageError for an entry that is no object, or channels that are not CT, FDG or acetate.
    """
    entry = {"image": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, dict):
        raise UsageError('A case of the datalist is not an object; each needs keys such as "id", "ct", "segmentation".')
    out = {key: value for key, value in entry.items() if key not in ("image", "label")}
    images = entry.get("image") or []
    for channel, path in enumerate([images] if isinstance(images, str) else images):
        out.setdefault(_modality(told.get("modality"), channel, str(entry.get("id") or name)), path)
    label = entry.get("label")
    if label is not None and label != "":
        out.setdefault("segmentation" if isinstance(label, str) else "grade", label)
    return out


def _modality(names: Any, channel: int, case: str) -> str:
    """The key of a channel: by the list's "modality", else CT for the first."""
    told = str(names.get(str(channel), "")) if isinstance(names, dict) else ""
    if not told and channel == 0:
        return "ct"
    key = next((key for word, key in _CHANNELS if word in told.casefold()), None)
    if key is None:
        raise UsageError(
            f"Case {quoted([case])} of the datalist has an image {channel} that is '{told or 'not named'}' in "
            '"modality"; name each channel CT, FDG or acetate there.'
        )
    return key


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
