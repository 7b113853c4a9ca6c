"""A case to process: the paths of its images and masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.text import MOST_NAMED, quoted
from REACTKDLib.core.text import tr as _

#: the column or key of a list that allows a case with images of different patients
ALLOWED = "different_patients_ok"
_YES, _NO = ("yes", "true", "1", "ok"), ("", "no", "false", "0")


@dataclass(frozen=True)
class Job:
    """One case to process.

    images: {modality: path} of those given. liver, tumor: names or labels, None for recognition.

    mask_files: liver and tumor as label files of their own, in place of a segmentation. different_patients_ok: DICOM
    headers may name different patients, keep_specks: lesions under 0.05 ml are graded too (see
    `core.cases.open_case.open_case`).
    """

    case: str
    images: dict[Modality, Path] = field(default_factory=dict)
    segmentation: Path | None = None
    liver: tuple[str, ...] | None = None
    tumor: tuple[str, ...] | None = None
    mask_files: tuple[Path, Path] | None = None
    different_patients_ok: bool = False
    keep_specks: bool = False


def is_allowed(value: object) -> bool:
    """Return the value of `ALLOWED` in a list: yes or no, in several spellings; empty means no."""
    return _plain(value) in _YES


def check_allowed(values: Iterable[tuple[str, object]]) -> None:
    """Check the values of `ALLOWED` in a list. values: (name of the case, value). Raises: UsageError for all others."""
    wrong = [case for case, value in values if _plain(value) not in (*_YES, *_NO)]
    if wrong:
        text = _("The value of {key} is neither yes nor no for {cases}; write one of them.")
        raise UsageError(text, key=ALLOWED, cases=quoted(wrong, MOST_NAMED))


def _plain(value: object) -> str:
    return str("" if value is None else value).strip().lower()
