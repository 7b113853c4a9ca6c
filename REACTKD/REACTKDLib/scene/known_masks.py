"""The masks of a case when they were looked at, and whether they differ from the current ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.graded_inputs import Content, same_masks
from REACTKDLib.scene.hand_over import drawn_between, masks_stamp
from REACTKDLib.scene.segments import SegmentChoice


@dataclass(frozen=True)
class KnownMasks:
    """The masks that a result or findings were computed from.

    choice: their segments. stamp: see `masks_stamp`; () if they are known to have changed meanwhile, or were changed
    while they were read. content: entries of `graded_inputs`, of which those of masks count; without any, an edit that
    is taken back remains a change.
    """

    choice: SegmentChoice
    stamp: tuple
    content: Content = field(default_factory=list)
    _compared: list = field(init=False, default_factory=list, compare=False, repr=False)  # a stamp; whether it differs

    def differ_from(self, nodes: CaseNodes, choice: SegmentChoice) -> bool:
        """Return whether the current masks differ from these, and not only in the time of drawing: an undo restores
        them. Takes a millisecond, and up to 6 ms once after each edit (see `same_masks`).
        """
        stamp = masks_stamp(nodes, choice)
        return stamp != self.stamp and (choice != self.choice or self._differ(nodes, stamp))

    def _differ(self, nodes: CaseNodes, stamp: tuple) -> bool:
        """Compare the voxels of the masks with this stamp, once."""
        if self._compared[:1] != [stamp]:
            drawn = drawn_between(self.stamp, stamp, self.choice)
            self._compared[:] = stamp, not same_masks(nodes, self.choice, self.content, drawn)
        return self._compared[1]
