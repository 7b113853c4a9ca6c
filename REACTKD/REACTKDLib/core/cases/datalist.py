"""A datalist in MONAI's decathlon form as a list of jobs; training reads the same files, with their grades.

    {"training": [{"id", "ct", "fdg", "acetate", "segmentation" | "liver" and "tumor", "patient", "grade", "fold"}]}

"liver" and "tumor" may also be called "organ" and "lesion", or have the names of the task. Lists "validation" and
"test" of the same form are read after "training". Paths are relative to the file. Patient, grade, fold and clinical
data are for training and are not read here: a reader should not see the true grade.

Lists by others, such as that of MSD Task03_Liver, have MONAI's own keys instead: "image" (a path, or one for each
channel of "modality") and "label" (the masks' path, or the grade as a number); in "test" a path alone is an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from REACTKDLib.core.cases.column_names import with_usual_names
from REACTKDLib.core.cases.extra_columns import refused_columns
from REACTKDLib.core.cases.job import ALLOWED, Job, check_allowed, is_allowed
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.image_names import modality_of_name
from REACTKDLib.core.json_once import DuplicateKey, parse_once
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import MOST_NAMED, quoted, shown
from REACTKDLib.core.text import tr as _

PARTS = ("training", "validation", "test")
FILES = (*(m.value for m in Modality), "segmentation", "liver", "tumor")
KEYS = ("id", "patient", *FILES, "grade", "fold", "clinical", ALLOWED)


def jobs_of_datalist(path: Path, task: Task = HCC_GRADE) -> list[Job]:
    """Return the jobs of a datalist, in its order; a case without an id is named by its number, as in training.

    Raises: UsageError for a file that is not such a list, or a case with unknown keys.
    """
    return jobs_of_cases(read_datalist(path, task=task)[1], path.parent)


def jobs_of_entries(entries: Sequence[Any], base: Path, task: Task = HCC_GRADE) -> list[Job]:
    """Return the jobs of datalist entries that a program has in memory. base: the folder for relative paths.

    Raises: UsageError, as for a file.
    """
    return jobs_of_cases([_with_id(entry, {}, number, task) for number, entry in enumerate(entries)], base)


def read_datalist(
    path: Path, parts: tuple[str, ...] = PARTS, task: Task = HCC_GRADE
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the whole list, and the cases of its `parts` with this project's keys, each with its "id" as text.

    Raises: UsageError for a file that is not such a list, or has a duplicate key.
    """
    listing = _object_in(path)
    if str(listing.get("schema", "")).startswith("reactkd-review"):
        raise UsageError(_("This file holds the review of a list; open the list itself, which lies beside it."))
    lists = [listing.get(part) or [] for part in parts]
    if not any(part in listing for part in parts) or not all(isinstance(part, list) for part in lists):
        raise UsageError(_('The datalist must be an object with a list "training" of cases.'))
    entries = [entry for part in lists for entry in part]
    return listing, [_with_id(entry, listing, number, task) for number, entry in enumerate(entries)]


def name_of(entry: Mapping[str, Any], key: str, default: str) -> str:
    """Return an id or a patient as text: text, or a whole number. Raises: UsageError for anything else."""
    value = entry.get(key)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        text = _("A case of the datalist has the {key} {shown}; give each {key} as text in quotes, or leave it out.")
        raise UsageError(text, key=key, shown=shown(value))
    return str(value).strip() or default


def with_own_keys(entry: Any, listing: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an entry with MONAI's "image" and "label" as this project's keys; others as they are.

    listing: the whole list, whose "modality" names the channels. name: of the case.
    Raises: UsageError for channels that are not CT, FDG or acetate, and for values given twice.
    """
    out = {key: value for key, value in entry.items() if key not in ("image", "label")}
    images = entry.get("image") or []
    for channel, path in enumerate(images if isinstance(images, list) else [images]):
        key = _modality(listing.get("modality"), channel, name)
        if out.get(key) not in (None, "", path):
            text = _("Case {case} of the datalist has two images for {key}; leave one.")
            raise UsageError(text, case=quoted([name]), key=f"{key!r}")
        out[key] = path
    label = entry.get("label")
    if label is not None and label != "":
        key = "segmentation" if isinstance(label, str) else "grade"
        if out.get(key) not in (None, "", label):
            raise UsageError(
                _("Case {case} of the datalist has a label and a {key}; leave one."), case=quoted([name]), key=key
            )
        out[key] = label
    return out


def jobs_of_cases(cases: Sequence[Mapping[str, Any]], base: Path) -> list[Job]:
    """Return the jobs of the cases of `read_datalist`. base: the list's folder.

    Raises: UsageError for unknown keys, files that are not text, and masks that are missing or given twice; the message
    names all such cases.
    """
    unknown = refused_columns(cases, KEYS)
    if unknown:
        text = _("The datalist has the unknown key {unknown}; known are {known}.")
        if len(unknown) > 1:
            text = _("The datalist has the unknown keys {unknown}; known are {known}.")
        raise UsageError(text, unknown=quoted(unknown, MOST_NAMED), known=", ".join(KEYS))
    wrong = _names(cases, lambda case: any(case.get(key) and not isinstance(case[key], str) for key in FILES))
    if wrong:
        raise UsageError(_("The datalist has a file that is not text for {cases}; give one path."), cases=wrong)
    wrong = _names(cases, lambda case: case.get("segmentation") and (case.get("liver") or case.get("tumor")))
    if wrong:
        text = _("The datalist has a segmentation, and masks in files of their own for {cases}; leave one.")
        raise UsageError(text, cases=wrong)
    for given, missing in (("liver", "tumor"), ("tumor", "liver")):
        lacking = [case for case in cases if case.get(given) and not case.get(missing)]
        wrong = _names(lacking, bool)
        if wrong:
            text = _("The datalist has {given} but no {missing} for {cases}; give both masks, or one segmentation.")
            raise UsageError(text, given=f"{given!r}", missing=f"{missing!r}", cases=wrong)
    check_allowed((case["id"], case.get(ALLOWED)) for case in cases)
    return [_job_of(case, base) for case in cases]


def _names(cases: Sequence[Mapping[str, Any]], is_wrong: Callable[[Mapping[str, Any]], Any]) -> str:
    """Return the names of the cases that are wrong, for a message; empty if there are none."""
    wrong = [case["id"] for case in cases if is_wrong(case)]
    return quoted(wrong, MOST_NAMED) if wrong else ""


def _job_of(case: Mapping[str, Any], base: Path) -> Job:
    files = {key: base / case[key] for key in FILES if case.get(key)}
    images = {m: files[m.value] for m in Modality if m.value in files}
    masks = tuple(files[key] for key in ("liver", "tumor") if key in files)
    allowed = is_allowed(case.get(ALLOWED))
    return Job(case["id"], images, files.get("segmentation"), mask_files=masks or None, different_patients_ok=allowed)


def _object_in(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Duplicate keys are ambiguous and refused."""
    try:
        listing = parse_once(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            _("The datalist is not readable JSON{reason}; correct the file."), reason=_why(error)
        ) from error
    if not isinstance(listing, dict):
        raise UsageError(_('The datalist must be an object with a list "training" of cases.'))
    return listing


def _why(error: Exception) -> str:
    if isinstance(error, DuplicateKey):
        return _(" that says each thing once (a case or the list has {keys} twice)").format(keys=quoted([error.key]))
    return ""


def _with_id(entry: Any, listing: Mapping[str, Any], number: int, task: Task = HCC_GRADE) -> dict[str, Any]:
    entry = {"image": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, dict):
        raise UsageError(
            _('A case of the datalist is not an object; each needs keys such as "id", "ct", "segmentation".')
        )
    name = name_of(entry, "id", f"case-{number:04d}")
    return {**with_usual_names(with_own_keys(entry, listing, name), task), "id": name}


def _modality(names: Any, channel: int, case: str) -> str:
    """Return the key of a channel: by the list's "modality", else CT for the first."""
    channel_name = str(names.get(str(channel), "")) if isinstance(names, dict) else ""
    if not channel_name and channel == 0:
        return "ct"
    modality = modality_of_name(channel_name)
    if modality is None:
        text = _(
            "Case {case} of the datalist has an image {channel} that is '{modality}' in "
            '"modality"; name each channel CT, FDG or acetate there.'
        )
        raise UsageError(text, case=quoted([case]), channel=channel, modality=shown(channel_name) or _("not named"))
    return modality.value
