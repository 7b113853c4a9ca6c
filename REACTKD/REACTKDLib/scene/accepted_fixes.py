"""The accepted fixes that can be undone; those that the masks no longer have are forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from REACTKDLib.scene.mask_proposal import Proposal
from REACTKDLib.scene.segment_state import SegmentState
from REACTKDLib.scene.segments import SegmentChoice

_DEPTH = 10


@dataclass(eq=False)
class AcceptedFix:
    """choice: the segments of the case before the fix. before: what they contained, see `Proposal.contents`.

    compared: when its segments were drawn, at the last comparison with `before`.
    """

    proposal: Proposal
    choice: SegmentChoice
    before: tuple[np.ndarray, ...]
    compared: tuple = ()

    def is_reverted(self) -> bool:
        """Return True if the masks are again what they were before the fix, wherever it changed them.

        Costs nothing unless a segment was drawn since the last call. False if that cannot be known, since a segment is
        missing or was moved.
        """
        data = self.proposal.nodes.segmentation.GetSegmentation()
        drawn = tuple(SegmentState(data, segment_id).time for segment_id, _edit in self.proposal.placed())
        if drawn == self.compared or self.proposal.lacks_segments() or self.proposal.was_moved():
            return False
        self.compared = drawn
        return all(np.array_equal(now, then) for now, then in zip(self.proposal.contents(), self.before, strict=True))


class AcceptedFixes:
    """The last accepted fixes of all segmentations of the scene.

    segmentation: the one whose fixes can be undone, or None.
    """

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.segmentation: Any = None
        self._fixes: list[AcceptedFix] = []  # the latest at the end

    @property
    def last(self) -> AcceptedFix | None:
        """The last fix of `segmentation`; None if there is none, or the segmentation was removed from the scene."""
        there = self.segmentation is not None and self.scene.IsNodePresent(self.segmentation)
        own = (fix for fix in reversed(self._fixes) if fix.proposal.nodes.segmentation is self.segmentation)
        return next(own, None) if there else None

    def add(self, fix: AcceptedFix) -> None:
        """Add a fix, whose segmentation becomes `segmentation`; the oldest of more than ten is forgotten."""
        self.segmentation = fix.proposal.nodes.segmentation
        self._fixes = [*self._fixes, fix][-_DEPTH:]

    def remove(self, fix: AcceptedFix) -> None:
        """Forget a fix."""
        self._fixes.remove(fix)

    def forget_reverted(self) -> None:
        """Forget the last fixes of `segmentation` that something else has taken back: they cannot be undone.

        This may be the undo of the scene or of the Segment Editor.
        """
        while (last := self.last) is not None and last.is_reverted():
            self.remove(last)

    def forget_removed(self) -> None:
        """Forget the fixes of segmentations that were removed from the scene."""
        self._fixes = [fix for fix in self._fixes if self.scene.IsNodePresent(fix.proposal.nodes.segmentation)]

    def clear(self) -> None:
        """Forget all."""
        self.segmentation, self._fixes = None, []
