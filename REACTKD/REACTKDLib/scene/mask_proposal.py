"""A proposed fix of masks: its voxels, and what the user's segmentation has at their positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from REACTKDLib.core.worker.mending import Edit
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.graded_inputs import NEAR_MM
from REACTKDLib.scene.mask_edits import grids_of, voxels_at
from REACTKDLib.scene.segment_state import SegmentState, states_of
from REACTKDLib.scene.segments import SegmentChoice


@dataclass(frozen=True, eq=False)
class Proposal:
    """A proposed fix. node: a copy of the segmentation with the fix. text: its description. edits: voxels that change.

    choice: the segments of the case after it. ijk_to_ras: (4, 4), of the voxels of `edits` in the frame of the
    segmentation, with which they move. grids: see `grids_of`, when the edits were made or last applied. drawn: what
    each segment contained when it was copied, by its ID. milliliters: total change. lesions: name and milliliters of
    each new segment, with the voxels that existing segments lose. largest_stays: existing segments keep their largest
    lesion.
    """

    nodes: CaseNodes
    node: Any
    text: str
    edits: tuple[Edit, ...]
    new_segments: tuple[str, ...]
    choice: SegmentChoice
    ijk_to_ras: np.ndarray
    grids: Mapping[str, np.ndarray]
    drawn: Mapping[str, SegmentState]
    milliliters: float
    lesions: tuple[tuple[str, float], ...] = ()
    largest_stays: bool = False

    def placed(self) -> list[tuple[str, Edit]]:
        """Return the edits with the ID of the segment that each changes or adds."""
        ids = iter(self.new_segments)
        return [(next(ids) if edit.segment is None else edit.segment, edit) for edit in self.edits]

    def backwards(self, new: Iterable[str]) -> list[Edit]:
        """Return the edits that undo the fix in the existing segments and in the remaining `new` ones."""
        there = [(i, edit) for i, edit in self.placed() if edit.segment is not None or i in new]
        return [Edit(segment_id, not edit.add, edit.mask, edit.corner) for segment_id, edit in there]

    def contents(self) -> tuple[np.ndarray, ...]:
        """Return what the user's segments contain at the voxels of each edit: bool (n,), see `voxels_at`."""
        segmentation = self.nodes.segmentation
        return tuple(voxels_at(segmentation, i, self.ijk_to_ras, edit) for i, edit in self.placed())

    def lacks_segments(self) -> bool:
        """Return True if the segmentation exists but lacks a segment that the fix changes."""
        segmentation = self.nodes.segmentation
        ids = {edit.segment for edit in self.edits} - {None}
        return segmentation.GetScene() is not None and not ids <= set(segmentation.GetSegmentation().GetSegmentIDs())

    def edited_since(self) -> bool:
        """Return True if the user has drawn since the copy was made, which lacks that; accepting the fix keeps it.

        Drawing that was undone counts too.
        """
        segmentation = self.nodes.segmentation
        if segmentation.GetScene() is None or self.lacks_segments():
            return False
        return states_of(segmentation.GetSegmentation()) != self.drawn

    def was_moved(self) -> bool:
        """Return True if a segment has moved in its own frame, so that the positions of the voxels are unknown."""
        segmentation = self.nodes.segmentation
        now = grids_of(segmentation, self.edits) if segmentation.GetScene() is not None else {}
        pairs = ((self.grids[segment_id], now[segment_id]) for segment_id in self.grids if segment_id in now)
        return any(not np.allclose(then, grid, rtol=0.0, atol=NEAR_MM) for then, grid in pairs)
