"""The current case: what was graded, and whether it has changed since."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.worker.jobs import Model
from REACTKDLib.scene.case import NEUTRAL_ID, CaseNodes
from REACTKDLib.scene.graded_inputs import Content
from REACTKDLib.scene.hand_over import images_stamp, inputs_stamp, masks_stamp
from REACTKDLib.scene.known_masks import KnownMasks
from REACTKDLib.scene.segments import SegmentChoice, choose_segments


@dataclass(frozen=True)
class OpenedCase:
    """A case with a result, and the inputs of that result.

    key: in the worker; None if the result came with a scene or a list. choice: the segments that were graded. asked:
    the requested segments, None for recognition. model: of the result; None if key is None. images, masks: their
    stamps; () if known to have changed. content: as handed over, stored in the scene; [] if it is not known.
    """

    key: str | None
    nodes: CaseNodes
    choice: SegmentChoice
    asked: SegmentChoice | None
    case_id: str
    model: Model | None
    images: tuple
    masks: tuple
    content: Content = field(default_factory=list)
    _graded: KnownMasks = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_graded", KnownMasks(self.choice, self.masks, self.content))

    @classmethod
    def stored(
        cls, report: GradeReport, nodes: CaseNodes, choice: SegmentChoice, content: Content | None = None
    ) -> OpenedCase:
        """Return the case of a result that came with a scene or a list, as unchanged since then.

        content: what was recorded with it; None if there is none, as in a list.
        """
        choice = replace(choice, task=report.task)
        stamps = images_stamp(nodes), masks_stamp(nodes, choice)
        return cls(None, nodes, choice, choice, report.case, None, *stamps, content or [])

    def with_changes(self, masks: bool, images: bool = False) -> OpenedCase:
        """Return the case with known changes since it was graded."""
        return replace(self, masks=() if masks else self.masks, images=() if images else self.images)

    def answers(self, nodes: CaseNodes, asked: SegmentChoice | None, case_id: str | None, model: Model) -> bool:
        """Return whether the result is the one requested, except for later drawing."""
        wish = nodes, asked, case_id or NEUTRAL_ID, model
        return nodes.present and (self.nodes, self.asked, self.case_id, self.model) == wish

    def is_of_others(self, nodes: CaseNodes, choice: SegmentChoice) -> bool:
        """Return whether these nodes or segments differ from those that were graded."""
        return (self.nodes, self.choice) != (nodes, choice)

    def choice_now(self) -> SegmentChoice:
        """Return the segments to grade now: the requested ones, else those recognized.

        Raises: see `choose_segments`.
        """
        return self.asked or choose_segments(self.nodes.segmentation, task=self.choice.task)

    def inputs_stamp(self) -> tuple:
        """Return a stamp of what would be graded now: see `hand_over.inputs_stamp`."""
        return inputs_stamp(self.nodes, self.asked, self.choice.task)

    @property
    def masks_changed(self) -> bool:
        """True if the masks differ from those that were graded: see `KnownMasks.differ_from`."""
        if not self.nodes.present:
            return False
        try:
            return self._graded.differ_from(self.nodes, self.choice_now())
        except ReactkdError:
            return True

    @property
    def images_changed(self) -> bool:
        """True if an image differs from the one that was graded, or has moved."""
        return images_stamp(self.nodes) != self.images

    @property
    def answers_what_if(self) -> bool:
        """True if the inputs of the result are known: open in the worker, or unchanged in the scene."""
        return self.key is not None or not (self.masks_changed or self.images_changed)
