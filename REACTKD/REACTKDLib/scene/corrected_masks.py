"""Where the corrected masks of a list are: found again, saved under names of their own, never over another window's."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

from REACTKDLib.core.case_list import CaseList, ListedCase, with_masks
from REACTKDLib.core.review import Review
from REACTKDLib.core.worklist import Job
from REACTKDLib.scene.segments import SegmentChoice

_SUFFIX = ".seg.nrrd"


class CorrectedMasks:
    """The files beside one list. Messages and records name them relative to the review."""

    def __init__(self, cases: CaseList, review: Review) -> None:
        self._cases, self._review = cases, review
        self._known: tuple[Path, tuple] | None = None  # what this window read or wrote last, and its stamp then

    def of(self, case: ListedCase) -> Path | None:
        """The corrected masks of a case, as recorded, else where they would have been saved; None without any."""
        recorded = self._recorded(case)
        return next((p for p in (recorded, self._cases.masks_file(case)) if p is not None and p.is_file()), None)

    def are_gone(self, case: ListedCase) -> bool:
        """True when masks are recorded, and no file is there."""
        return self._recorded(case) is not None and self.of(case) is None

    def job_with_them(self, case: ListedCase) -> Job:
        """The job of a case, with the corrected masks where there are any, and the segments chosen by hand."""
        told = self._review.of(case.id).masks or {}
        return with_masks(case.job, self.of(case), *(tuple(told.get(key) or ()) for key in ("liver", "tumor")))

    def note(self, path: Path | None) -> None:
        """This window reads or has written `path` now: it may write over it."""
        self._known = None if path is None else (path, _stamp(path))

    def target(self, case: ListedCase) -> Path:
        """Where masks are to be saved: over what this window read or wrote, never over what another window did."""
        first = self._cases.masks_file(case)
        if self._known is not None and _stamp(self._known[0]) == self._known[1]:
            return self._known[0]
        stem = first.name.removesuffix(_SUFFIX)
        names = (first.name if n == 1 else f"{stem}-{n}{_SUFFIX}" for n in count(1))
        return next(path for path in map(first.with_name, names) if not path.exists())

    def saved_as(self, path: Path, segmentation: Any, chosen: SegmentChoice | None) -> dict[str, Any]:
        """Note what was written and return the record of it."""
        self.note(path)
        file = Path(os.path.relpath(path, self._review.path.parent)).as_posix()
        return {"file": file, **_names_of(segmentation, chosen)}

    def _recorded(self, case: ListedCase) -> Path | None:
        told = self._review.of(case.id).masks
        return None if told is None else self._review.path.parent / told["file"]


def _names_of(segmentation: Any, chosen: SegmentChoice | None) -> dict[str, list[str]]:
    """Names of segments chosen by hand; left to recognition where two segments have one name."""
    nothing: dict[str, list[str]] = {"liver": [], "tumor": []}
    if chosen is None:
        return nothing
    data = segmentation.GetSegmentation()
    every = [data.GetNthSegment(n).GetName() for n in range(data.GetNumberOfSegments())]
    pairs = (("liver", chosen.livers), ("tumor", chosen.tumors))
    names = {kind: [data.GetSegment(i).GetName() for i in ids if data.GetSegment(i) is not None] for kind, ids in pairs}
    return nothing if any(every.count(name) > 1 for part in names.values() for name in part) else names


def _stamp(path: Path) -> tuple:
    try:
        told = path.stat()
    except OSError:
        return ()
    return told.st_mtime_ns, told.st_size, told.st_ino
