"""A proposed fix in the section Masks: its changes, before and after, with buttons to accept or reject it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from REACTKDLib.core.text import isolated, measured
from REACTKDLib.gui.words import joined
from REACTKDLib.scene.hiding import PROPOSAL, hide_only
from REACTKDLib.scene.mask_fixes import MaskFixer
from REACTKDLib.scene.mask_proposal import Proposal
from REACTKDLib.scene.proposed_changes import LOOKS, ProposedChanges
from REACTKDLib.scene.segments import SegmentChoice
from REACTKDLib.scene.translation import translated


class ProposalBox:
    """The widgets from proposalWidget to undoFixButton of MasksPanel.ui. changes: the highlight in the views.

    choice: returns the current segments of the case, which may have changed since the fix was requested.
    """

    def __init__(self, ui: Any, fixer: MaskFixer, scene: Any, choice: Callable[[], SegmentChoice | None]) -> None:
        self.ui, self.fixer, self._scene = ui, fixer, scene
        self.changes = ProposedChanges(scene)
        self._entered = False
        fixer.proposal_changed.connect(self.on_proposal)
        self._choice = choice
        ui.acceptButton.connect("clicked(bool)", self.on_accept)
        ui.rejectButton.connect("clicked(bool)", self.on_reject)
        ui.undoFixButton.connect("clicked(bool)", self.on_undo)
        ui.beforeButton.connect("toggled(bool)", self.on_before)

    def on_accept(self, _checked: bool = False) -> None:
        """Apply the proposal; a second click, of a button that was just hidden, finds none."""
        if self.fixer.proposal is not None:
            self.fixer.accept(self._choice())

    def on_reject(self, _checked: bool = False) -> None:
        """Discard the proposal."""
        if self.fixer.proposal is not None:
            self.fixer.reject()

    def on_undo(self, _checked: bool = False) -> None:
        """Undo the last accepted fix."""
        self.fixer.forget_reverted()
        if self.fixer.can_undo:
            self.fixer.undo(self._choice())

    def on_proposal(self, proposal: Proposal | None) -> None:
        """Highlight a proposal, or remove the highlight and restore the views."""
        self.ui.beforeButton.checked = False
        if proposal is None:
            self.changes.clear()
        else:
            self.changes.show(proposal)

    def on_before(self, before: bool) -> None:
        """Show the masks as they are now instead of the proposed ones, or the proposed ones again."""
        self.changes.show_after(not before)

    def refresh(self) -> None:
        """Show the proposal, if there is one."""
        ui, proposal = self.ui, self.fixer.proposal
        ui.proposalWidget.visible = proposal is not None
        self.fixer.forget_reverted()
        ui.undoFixButton.visible = self.fixer.can_undo
        self._show_in_views()
        if proposal is None:
            return
        edited = _("You have edited the masks since; the copy may lack these edits. Accepting keeps them.")
        ui.proposalLabel.text = " ".join([_words(proposal), *([edited] if proposal.edited_since() else [])])
        ui.acceptButton.enabled = bool(proposal.edits)
        ui.proposalLegendLabel.text = self._legend()
        ui.proposalLegendLabel.visible = ui.beforeButton.visible = bool(self.changes.kinds)

    def _show_in_views(self) -> None:
        """Show the copy in place of the user's segmentation or, while another module is open, only the latter."""
        shown = self.fixer.proposal if self._entered else None
        hide_only(self._scene, PROPOSAL, shown.nodes.segmentation if shown is not None else None)
        self.changes.follow()
        self.changes.put_aside(not self._entered)

    def enter(self) -> None:
        """The module was opened."""
        self._entered = True
        self._show_in_views()

    def exit(self) -> None:
        """Another module was opened: the user's masks are shown again, without the proposal."""
        self._entered = False
        self._show_in_views()

    def before_scene_closes(self) -> None:
        """Release the nodes."""
        self.changes.forget()

    def close(self) -> None:
        """Remove the highlight, and show what was hidden."""
        hide_only(self._scene, PROPOSAL, None)
        self.changes.clear()

    def _legend(self) -> str:
        """Return a legend of the highlight, with a symbol for each look; color is never the only difference."""
        words = {
            "added": _("filled blue: {milliliters} ml added"),
            "removed": _("hollow orange: {milliliters} ml removed"),
            "moved": _("filled yellow: {milliliters} ml in another segment"),
        }
        lines = []
        for kind in self.changes.kinds:
            color, filled = LOOKS[kind]
            web = "".join(f"{round(255 * part):02x}" for part in color)
            text = words[kind].format(milliliters=measured(self.changes.milliliters(kind)))
            sign = "&#9632;" if filled else "&#9633;"
            lines.append(f"<span style='color:#{web}'>{sign}</span> {text}")
        return "<br>".join(lines)


def _words(proposal: Proposal) -> str:
    if not proposal.edits:
        return _("{what}: there is nothing to change.").format(what=translated(proposal.text))
    lesions = ", ".join(f"{translated(name)} ({measured(milliliters)} ml)" for name, milliliters in proposal.lesions)
    if lesions and proposal.largest_stays:
        text = _(
            "{what}: proposed on a copy, which the views show. The largest lesion stays in {segment}; each other one "
            "gets a segment of its own: {lesions}. Your segmentation is untouched until you accept."
        )
        return text.format(what=translated(proposal.text), segment=joined(_changed(proposal)), lesions=lesions)
    if lesions:
        text = _(
            "{what}: proposed on a copy, which the views show. New segments, with voxels of the tumor segments: "
            "{lesions}. Your segmentation is untouched until you accept."
        )
        return text.format(what=translated(proposal.text), lesions=lesions)
    text = _(
        "{what}: proposed on a copy, which the views show; {milliliters} ml change. Your segmentation is untouched "
        "until you accept."
    )
    return text.format(what=translated(proposal.text), milliliters=measured(proposal.milliliters))


def _changed(proposal: Proposal) -> list[str]:
    """Return the names of the segments that lose voxels to new ones."""
    data = proposal.nodes.segmentation.GetSegmentation()
    ids = dict.fromkeys(edit.segment for edit in proposal.edits if edit.segment is not None)
    return [isolated(data.GetSegment(i).GetName()) for i in ids if data.GetSegment(i) is not None]
