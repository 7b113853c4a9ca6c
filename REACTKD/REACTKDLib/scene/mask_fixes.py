"""Proposes fixes of masks on a copy of the user's segmentation, which the user accepts or rejects, and can undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import slicer

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.masks.fixes import fix_words
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.accepted_fixes import AcceptedFix, AcceptedFixes
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.hand_over import hand_over_masks, inputs_stamp
from REACTKDLib.scene.mask_edits import apply_edits, copy_of, grids_of, matrix_in, new_ids_for
from REACTKDLib.scene.mask_proposal import Proposal
from REACTKDLib.scene.panel_state import PanelState
from REACTKDLib.scene.scene_nodes import remove_with_displays
from REACTKDLib.scene.script_runner import RunState, Script, ScriptRunner
from REACTKDLib.scene.segment_state import states_of
from REACTKDLib.scene.segments import SegmentChoice, segment_array
from REACTKDLib.scene.signal import Signal
from REACTKDLib.scene.volumes import grid_of

_REPLACED = _("The proposal was not accepted and is gone; press Fix again.")
_GONE_BEFORE = _("A segment that this fix changes is gone; reject the fix, and check the masks again.")
_GONE_SINCE = _("A segment that this fix changed is gone; correct the masks by hand.")
_MOVED_BEFORE = _("The masks were moved or resampled since this fix was proposed; reject it, and press Fix again.")
_MOVED_SINCE = _("The masks were moved or resampled since this fix was accepted; correct them by hand.")
_LEFT = _("The proposal for the masks of the case before was not accepted and is gone; press Fix again there.")


class MaskFixer(ScriptRunner):
    """Proposes fixes. Every method returns at once; `poll` does the work: see `ScriptRunner` for states and errors.

    notice: that a proposal was dropped before it was decided, one sentence or empty. Signals: proposal_changed(Proposal
    or None), accepted(SegmentChoice): the user's segmentation now has the fix, undone(SegmentChoice): it no longer has.
    """

    def __init__(self, scene: Any, dispatcher: JobDispatcher | None = None) -> None:
        super().__init__(dispatcher)
        self.scene = scene
        self.proposal: Proposal | None = None
        self.notice = _REPLACED if _was_dropped(scene) else ""
        self.proposal_changed = Signal()
        self.accepted = Signal()
        self.undone = Signal()
        self._fixes = AcceptedFixes(scene)
        self._asked_choice = SegmentChoice((), ())
        self._observed = scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._on_close)

    @property
    def can_undo(self) -> bool:
        """True if there is an accepted fix of the segmentation at hand, which still exists."""
        return self._fixes.last is not None

    def forget_reverted(self) -> None:
        """Forget fixes that something else has taken back: see `AcceptedFixes.forget_reverted`."""
        self._fixes.forget_reverted()

    def propose(self, nodes: CaseNodes, choice: SegmentChoice, finding: Finding) -> None:
        """Create a copy with the fix of `finding`. Raises: UsageError if there is none, see `masks.fixes`."""
        text = fix_words(finding.code, choice.task)
        if text is None:
            raise UsageError(
                _("There is no fix for the finding '{code}'; correct the masks by hand."), code=finding.code
            )
        place = None if finding.location_ras is None else list(finding.location_ras)

        def job(masks: list[jobs.MaskFile], shape: list, matrix: list) -> jobs.Job:
            return jobs.MendMasks(masks, shape, matrix, finding.code, place, choice.task)

        self._propose(nodes, choice, job, text)

    def split(self, nodes: CaseNodes, choice: SegmentChoice, *segment_ids: str) -> None:
        """Create a copy in which a tumor segment keeps its largest lesion and each other lesion has its own segment.

        segment_ids: by default every tumor segment. Raises: UsageError for one that is not a tumor.
        """
        if set(segment_ids) - set(choice.tumors) or not choice.tumors:
            text = _("Only a {lesion} segment can be split into lesions; choose one.")
            raise UsageError(text, lesion=choice.task.lesion.name)

        def job(masks: list[jobs.MaskFile], shape: list, matrix: list) -> jobs.Job:
            return jobs.SplitMask(masks, shape, matrix, list(segment_ids), choice.task)

        self._propose(nodes, choice, job, _("Give every lesion a segment of its own"), largest_stays=True)

    def accept(self, choice: SegmentChoice | None = None) -> None:
        """Apply the proposed fix to the user's segmentation, and remove the copy.

        choice: the current segments of the case, to which new ones are added; None: those for which the fix was
        requested. If a segment that it changes is missing, nothing is done, and `error` says so.
        """
        if self.proposal is not None and self.proposal.lacks_segments():
            self._refuse(_GONE_BEFORE, self.proposal.lacks_segments)
            return
        if self.proposal is not None and self.proposal.was_moved():
            self._refuse(_MOVED_BEFORE, self.proposal.was_moved)
            return
        self.notice = ""
        proposal = self._taken()
        segmentation = proposal.nodes.segmentation
        if not self.scene.IsNodePresent(segmentation):
            return
        before = proposal.contents()
        apply_edits(segmentation, proposal.ijk_to_ras, proposal.edits, proposal.new_segments, proposal.choice.task)
        applied = replace(proposal, grids=grids_of(segmentation, proposal.edits), drawn={})  # states hold images
        self._fixes.add(AcceptedFix(applied, self._asked_choice, before))
        now = choice or self._asked_choice
        self.accepted(replace(now, tumors=tuple(dict.fromkeys((*now.tumors, *proposal.new_segments)))))

    def reject(self) -> None:
        """Remove the copy; the user's segmentation is as it was."""
        self.notice = ""
        self._taken()

    def undo(self, choice: SegmentChoice | None = None) -> None:
        """Undo the last accepted fix, only its voxels, so that later strokes elsewhere are kept.

        choice: the current segments of the case, from which added ones are removed; None: those before the fix.

        A new segment in which more was drawn keeps that. If a segment that the fix changed is missing, nothing is done,
        and `error` says so. Raises: UsageError if there is no fix.
        """
        self.forget_reverted()
        last = self._fixes.last
        if last is None:
            raise UsageError(_("No fix was accepted that could be undone."))
        proposal, before = last.proposal, last.choice
        if proposal.lacks_segments():
            self._refuse(_GONE_SINCE, proposal.lacks_segments)
            return
        if proposal.was_moved():
            self._refuse(_MOVED_SINCE, proposal.was_moved)
            return
        self._fixes.remove(last)
        self.notice = ""
        self._finish(RunState.IDLE)
        segmentation = proposal.nodes.segmentation
        data = segmentation.GetSegmentation()
        new = [i for i in proposal.new_segments if data.GetSegment(i) is not None]
        apply_edits(segmentation, proposal.ijk_to_ras, proposal.backwards(new), (), proposal.choice.task)
        kept = tuple(i for i in new if segment_array(segmentation, i)[0].any())
        for segment_id in set(new) - set(kept):
            data.RemoveSegment(segment_id)
        gone = set(proposal.new_segments) - set(kept)
        now = choice or replace(before, tumors=(*before.tumors, *kept))
        self.undone(replace(now, tumors=tuple(i for i in now.tumors if i not in gone)))

    def leave(self, to: Any = None) -> None:
        """Stop, and drop a proposal that is not decided, for another case.

        to: its segmentation, whose accepted fixes can be undone, also those from before it was left.
        """
        self._next = None
        self._finish(RunState.IDLE)
        self.forget_error()
        self.notice = _LEFT if self._undecided else ""
        if self.proposal is not None:
            self._taken()
        self._fixes.segmentation = to
        self._fixes.forget_removed()

    def _on_close(self, *_: Any) -> None:
        """Release the scene's nodes."""
        self.leave()
        self._fixes.clear()

    def close(self) -> None:
        """Stop everything and remove a copy that is still proposed, which the next `MaskFixer` of the scene reports, as
        after a reload of the module. May be called twice.
        """
        state = PanelState.find(self.scene)
        if self._undecided and state is not None:
            state.proposal_dropped = True
        for signal in (self.proposal_changed, self.accepted, self.undone):
            signal.disconnect_all()
        self._on_close()
        super().close()
        if self._observed is not None:
            self.scene.RemoveObserver(self._observed)
            self._observed = None

    @property
    def _undecided(self) -> bool:
        """True while there is a proposal that could be accepted."""
        return self.proposal is not None and bool(self.proposal.edits)

    def _propose(
        self, nodes: CaseNodes, choice: SegmentChoice, job: Any, text: str, largest_stays: bool = False
    ) -> None:
        self.notice = _REPLACED if self._undecided else ""
        if self.proposal is not None:
            self._taken()
        if self.busy:
            self.cancel()
            self._next = lambda: self._propose(nodes, choice, job, text, largest_stays)
            return
        self._asked_choice = choice
        script = self._proposing(nodes, choice, job, text, largest_stays)
        needed, stamp = (nodes.reference, nodes.segmentation), lambda: inputs_stamp(nodes, choice, choice.task)
        self._begin(script, lambda: all(map(self.scene.IsNodePresent, needed)), stamp)

    def _proposing(self, nodes: CaseNodes, choice: SegmentChoice, job: Any, text: str, largest_stays: bool) -> Script:
        self._set_progress(0.0, _("Reading the masks"))
        grid, matrix = grid_of(nodes.reference), matrix_in(nodes)
        masks = yield from hand_over_masks(nodes, choice, self.dispatcher.client.scratch)
        edits = yield from self._ask(job(masks, list(grid.shape), grid.ijk_to_ras.tolist()), (0.3, 0.8))
        yield
        drawn = states_of(nodes.segmentation.GetSegmentation())
        node = copy_of(self.scene, nodes.segmentation, "REACTKD proposed masks")
        try:
            yield
            new = new_ids_for(nodes.segmentation, [edit.name for edit in edits if edit.segment is None])
            apply_edits(node, matrix, edits, new, choice.task)
        except BaseException:
            remove_with_displays(self.scene, node)
            raise
        changed = grid.voxel_ml * sum(int(edit.mask.sum()) for edit in edits if edit.segment is not None)
        lesions = tuple((e.name, grid.voxel_ml * int(e.mask.sum())) for e in edits if e.segment is None)
        after = replace(choice, tumors=(*choice.tumors, *new))
        about = matrix, grids_of(nodes.segmentation, edits), drawn, changed, lesions, largest_stays
        self.proposal = Proposal(nodes, node, text, edits, new, after, *about)
        self.proposal_changed(self.proposal)

    def _refuse(self, sentence: str, holds: Callable[[], bool]) -> None:
        """Report why nothing was done. holds: returns whether that is still so."""
        self._finish(RunState.IDLE)  # otherwise a second refusal would not be signaled
        self._alive, self._inputs, self._read = lambda: True, lambda: (holds(),), (True,)
        self._end(UsageError(sentence))

    def _taken(self) -> Proposal:
        """Return the proposal, which ends with this; its copy is removed."""
        if self.proposal is None:
            raise UsageError(_("No fix is proposed."))
        proposal, self.proposal = self.proposal, None
        if self.scene.IsNodePresent(proposal.node):
            remove_with_displays(self.scene, proposal.node)
        self.proposal_changed(None)
        self._finish(RunState.IDLE)  # clears an earlier refusal
        return proposal


def _was_dropped(scene: Any) -> bool:
    """Return whether a panel was removed with an undecided proposal, and forget it."""
    state = PanelState.find(scene)
    dropped = state is not None and state.proposal_dropped
    if dropped:
        state.proposal_dropped = False
    return dropped
