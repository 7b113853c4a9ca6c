"""The files of a reader's corrected masks: found again, saved under the reader's own names, never over another's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from REACTKDLib.core.cases.case_list import CaseList, ListedCase, with_masks
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.names import file_name_of
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.review.readers import UNNAMED, reader_folder
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.stamps import stamp_of

_SUFFIX = ".seg.nrrd"


class CorrectedMasks:
    """The files beside one list of the reader of its review. Messages and records name them relative to the review.

    Those of the unnamed reader are in the list's folder of corrected masks, those of others in subfolders. Only regular
    files with a case's own names in the reader's folder are read or overwritten: a review may have been edited, or come
    from elsewhere.
    """

    def __init__(self, cases: CaseList, review: Review) -> None:
        self._cases, self._review = cases, review
        named = review.reader != UNNAMED
        self.folder = cases.masks_folder / reader_folder(review.reader) if named else cases.masks_folder
        self._known: dict[str, tuple[Path, tuple | None]] = {}  # read or written by this window, and the stamp
        self._listed = {_full(path) for case in cases.cases for path in _files_of(case.job)}

    def of(self, case: ListedCase) -> Path | None:
        """Return the corrected masks of a case: as recorded, else at the usual path; None if there are none."""
        recorded = self._recorded(case)
        if recorded is not None and self._is_own(recorded, case):
            return recorded
        usual = self.folder / f"{case.file_name}{_SUFFIX}"
        return usual if self._is_own(usual, case) and usual.name not in self._of_others(case) else None

    def problem(self, case: ListedCase) -> str:
        """Return why the recorded masks of a case are not shown, in one sentence; empty if they are shown or there are
        none.
        """
        if self._review.of(case.id).masks is None:
            return ""
        recorded = self._recorded(case)
        if recorded is None or (os.path.lexists(recorded) and not self._is_own(recorded, case)):
            return _(
                "The review names corrected masks that are no file of this case in its own folder, so "
                "they were not read; correct the review, or draw them again."
            )
        if self.of(case) is None:
            return _("The corrected masks of this case are not where they were saved; those listed are shown.")
        return ""

    def job_with_them(self, case: ListedCase) -> Job:
        """Return the job of a case, with its corrected masks if any, and the segments chosen by hand."""
        masks = self._review.of(case.id).masks or {}
        return with_masks(case.job, self.of(case), *(tuple(masks.get(key) or ()) for key in ("liver", "tumor")))

    def note(self, case: ListedCase) -> None:
        """Note that this window has read the corrected masks of a case, and so may overwrite them."""
        self._note(case, self.of(case))

    def _note(self, case: ListedCase, path: Path | None) -> None:
        self._known.pop(case.id, None)
        if path is not None:
            self._known[case.id] = path, stamp_of(path)

    def target(self, case: ListedCase) -> Path:
        """Return the path for saving masks: it may replace a file that this window read or wrote, never another
        window's.

        Raises: OutputNotWritable if the folder leads elsewhere through a link.
        """
        if not self._folder_is_own():
            text = _(
                "The folder of corrected masks beside the list is a link to another place; put a folder there instead."
            )
            raise OutputNotWritable(text)
        known, stamp = self._known.get(case.id, (None, None))
        if known is not None and stamp_of(known) == stamp and self._is_own(known, case):
            return known
        stem, taken = case.file_name, self._of_others(case)
        names = (f"{stem}{_SUFFIX}" if n == 1 else f"{stem}-{n}{_SUFFIX}" for n in count(1))
        paths = (self.folder / name for name in names if name not in taken)
        return next(path for path in paths if not os.path.lexists(path) and _full(path) not in self._listed)

    def saved_as(self, path: Path, case: ListedCase, names: Mapping[str, list[str]]) -> dict[str, Any]:
        """Note what was written and return the record of it. names: of segments chosen by hand, by "liver", "tumor"."""
        self._note(case, path)
        file = Path(os.path.relpath(path, self._review.path.parent)).as_posix()
        return {"file": file, **names}

    def _recorded(self, case: ListedCase) -> Path | None:
        """Return the file that the review records; None if the name is not one of this program's for this case."""
        name = self._recorded_name(case.id)
        return None if name is None else self.folder / name

    def _recorded_name(self, case_id: str) -> str | None:
        masks = self._review.of(case_id).masks
        folder, _, name = str((masks or {}).get("file", "")).rpartition("/")
        own = re.fullmatch(re.escape(file_name_of(case_id)) + r"(-[0-9]{1,9})?" + re.escape(_SUFFIX), name)
        return name if own and folder == self.folder.relative_to(self._review.path.parent).as_posix() else None

    def _is_own(self, path: Path, case: ListedCase) -> bool:
        """Return True for a regular file in the folder that is neither a link nor a file of the list."""
        return (
            path.parent == self.folder
            and self._folder_is_own()
            and path.is_file()
            and not path.is_symlink()
            and _full(path) not in self._listed
            and not any(other.is_file() and other.samefile(path) for other in _files_of(case.job))
        )

    def _folder_is_own(self) -> bool:
        base = self._cases.masks_folder.parent
        inside = self.folder.relative_to(base)
        if any((base / part).is_symlink() for part in (inside, *inside.parents[:-1])):  # such as a circular link
            return False
        try:
            return self.folder.resolve() == base.resolve() / inside  # no other kind of link
        except (OSError, RuntimeError):
            return False

    def _of_others(self, case: ListedCase) -> set[str]:
        """Return the files that belong, or may come to belong, to other cases, such as "a-2" beside a case "a"."""
        names = {f"{other.file_name}{_SUFFIX}" for other in self._cases.cases if other.id != case.id}
        recorded = (self._recorded_name(name) for name in self._review.cases if name != case.id)
        return names | {name for name in recorded if name is not None}


def _files_of(job: Job) -> list[Path]:
    masks = [job.segmentation] if job.segmentation is not None else []
    return [*job.images.values(), *masks, *(job.mask_files or ())]


def _full(path: Path) -> str:
    return os.path.normcase(os.path.abspath(path))
