"""An open case with its checks: masks are cleaned before each grade, and every finding comes with the report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from REACTKDLib.core.findings import merged
from REACTKDLib.core.grading.grade_result import GradeResult
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.grading.session import Canceler, Progress, never, silent
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.checks import checked, rechecked
from REACTKDLib.core.masks.regions import regions_of
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import Modality

SAME_PLACE_MM = 1e-4


class CheckedSession:
    """One open case. case: as checked, with the masks of the last reading."""

    def __init__(self, grader: Grader, case: Case, progress: Progress = silent, cancelled: Canceler = never):
        """Check the masks and images of `case` and encode it. Raises: what `checked` and `Grader.open` raise."""
        self.case = checked(case)
        self._memo = Memo()
        # The report of the core session is to hold its own findings only: those on masks change with each edit.
        self._core = grader.open(replace(self.case, findings=()), progress, cancelled)

    @property
    def encoder_calls(self) -> int:
        """How many images have been encoded so far for this and other cases, by the network of this one."""
        return self._core.encoder_calls

    def correct(self, liver: np.ndarray | None, tumor: np.ndarray | None, keep_specks: bool | None = None) -> None:
        """Take other masks, bool (D, H, W) as drawn; None keeps one, and what is said of specks.

        Raises: what `rechecked` raises.
        """
        case = self.case if keep_specks is None else replace(self.case, keep_specks=keep_specks)
        self.case = rechecked(case, liver, tumor, self._memo)

    def adopt(self, case: Case) -> bool:
        """Take masks, id and units of another reading of the same images, if a fresh start would encode the same.

        Returns False, and changes nothing, when the images differ or would be read on another grid. Raises: what
        `checked` raises.
        """
        if not _same_images(case, self.case):
            return False
        clean = checked(case)
        if not self._core.would_read(clean):
            return False
        self.case = clean
        return True

    def serves(self, case: Case) -> bool:
        """True when `adopt` would take this case; nothing is changed. case: as checked."""
        return _same_images(case, self.case) and self._core.would_read(case)

    def grade(self, leave_out: Collection[Modality] = (), mute: Collection[str | int] = ()) -> GradeResult:
        """Grade with the masks of `case`. Raises: what `Session.grade` raises."""
        case = self.case
        result = self._core.grade(case.liver, case.tumor, leave_out, mute, regions_of(case))
        findings = merged(self.case.findings, result.report.findings)
        return replace(result, report=replace(result.report, case=self.case.id, findings=findings))


def _same_images(a: Case, b: Case) -> bool:
    return a.modalities == b.modalities and all(
        a.volumes[m].shape == b.volumes[m].shape
        and np.allclose(a.volumes[m].ijk_to_ras, b.volumes[m].ijk_to_ras, rtol=0, atol=SAME_PLACE_MM)
        and np.array_equal(a.volumes[m].array, b.volumes[m].array)
        for m in a.modalities
    )
