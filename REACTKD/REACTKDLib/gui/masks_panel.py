"""Section Masks: the findings of the checks, their positions, and ways to fix them.

Nothing is changed without consent.
"""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.masks.fixes import SPLITS, fix_words
from REACTKDLib.gui.findings import BEFORE_THE_CHANGE, is_of_masks, urgent
from REACTKDLib.gui.folding import Folding
from REACTKDLib.gui.keys import shortcuts, with_key
from REACTKDLib.gui.plain_text import as_is, plain_label
from REACTKDLib.gui.proposal_box import ProposalBox
from REACTKDLib.gui.section import Section, empty_layout
from REACTKDLib.gui.views import show_case
from REACTKDLib.scene.jump import jump_to
from REACTKDLib.scene.mask_fixes import MaskFixer
from REACTKDLib.scene.mask_proposal import Proposal
from REACTKDLib.scene.script_runner import RunState
from REACTKDLib.scene.segments import SegmentChoice, choose_segments, keep_specks
from REACTKDLib.scene.translation import translated


def _press(button: Any) -> None:
    """Click a button, unless it is disabled."""
    if button.visible and button.enabled:
        button.click()


class MasksPanel(Section):
    """Shows findings with a button to see each and one to fix it on a copy; opens the Segment Editor."""

    ui_file = "MasksPanel.ui"

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        self.fixer = MaskFixer(context.scene, context.dispatcher)
        self.checker = context.checker
        self.folding = Folding(place)
        self._listed: tuple[Finding, ...] | None = None
        self._report: Any = None
        self._case: Any = None
        self._current: Finding | None = None
        self._labels: list[Any] = []
        for runner in (self.fixer, self.checker):
            runner.state_changed.connect(self._on_runner)
        self.box = ProposalBox(self.ui, self.fixer, context.scene, context.choice_now)
        self.fixer.proposal_changed.connect(self.on_proposal)
        self.fixer.accepted.connect(self.on_masks_replaced)
        self.fixer.undone.connect(self.on_masks_replaced)
        self.checker.checked.connect(self.on_checked)
        ui = self.ui
        ui.checkButton.connect("clicked(bool)", self.on_check)
        ui.splitButton.connect("clicked(bool)", self.on_split)
        ui.segmentEditorButton.connect("clicked(bool)", self.on_segment_editor)
        ui.nextFindingButton.connect("clicked(bool)", self.on_next_finding)
        buttons = {"next finding": ui.nextFindingButton, "accept": ui.acceptButton, "reject": ui.rejectButton}
        buttons["before"] = ui.beforeButton
        for action, button in buttons.items():
            button.toolTip = with_key(button.toolTip, action)
        self._keys = shortcuts({action: lambda button=button: _press(button) for action, button in buttons.items()})
        self.refresh()

    def poll(self) -> None:
        """Advance the work; called by the panel's timer."""
        self.fixer.poll()
        self.checker.poll()

    @property
    def working(self) -> bool:
        """True while masks are checked or a fix is computed."""
        return self.fixer.busy or self.checker.busy

    # actions

    def on_check(self, _checked: bool = False) -> None:
        """Check without grading."""
        if self.context.nodes is not None:
            self.checker.check(self.context.nodes, self.context.choice)

    def on_checked(self, _findings: tuple[Finding, ...] | None = None) -> None:
        """Report new findings, or that there are none any more: those on images belong to another section."""
        if not self.context.suspended:
            self.context.changed()

    def on_show(self, finding: Finding) -> None:
        """Jump to a finding, and show the masks that it concerns, which the result does not show."""
        self._show_masks(True)
        self._go_to(finding)

    def _show_masks(self, on: bool) -> None:
        if self.context.masks_on_show is not on:
            self.context.masks_on_show = on
            self.context.changed()

    def _go_to(self, finding: Finding) -> None:
        self._current = finding
        self._mark_current()
        nodes = self.context.nodes
        if nodes is not None and nodes.present and finding.location_ras is not None:
            show_case(nodes)
            jump_to(nodes.reference, finding.location_ras)

    def on_next_finding(self, _checked: bool = False) -> None:
        """Jump to the next finding; after the last one, to the first."""
        placed = [finding for finding in self._listed or () if finding.location_ras is not None]
        if placed:
            after = placed.index(self._current) + 1 if self._current in placed else 0
            self.on_show(placed[after % len(placed)])

    def on_fix(self, finding: Finding) -> None:
        """Propose a copy with the fix, and go there."""
        self._show_masks(False)  # the copy is shown in their place
        if self.context.nodes is not None:
            self.fixer.propose(self.context.nodes, self.context.choice, finding)
        self.box.changes.remember_views()  # after a replaced proposal has restored them
        self._go_to(finding)

    def on_split(self, _checked: bool = False) -> None:
        """Propose a copy in which every lesion has a separate segment."""
        nodes, choice = self.context.nodes, self.context.choice
        if nodes is not None and choice.tumors:
            self.box.changes.remember_views()
            self._show_masks(False)
            self.fixer.split(nodes, choice)

    def on_proposal(self, proposal: Proposal | None) -> None:
        """Handle a new or removed proposal."""
        self.context.proposal_on_show = proposal is not None
        if not self.context.suspended:
            self.context.changed()

    def on_masks_replaced(self, choice: SegmentChoice) -> None:
        """Handle changed masks of the user's segmentation: segments equal to the recognition are left to it."""
        state = self.context.state
        try:
            recognized = choose_segments(state.segmentation, task=self.context.task)
        except ReactkdError:
            recognized = None
        chosen = None if recognized == choice else choice
        state.set_segments(*((None, None) if chosen is None else (list(choice.livers), list(choice.tumors))))
        self.checker.forget()
        self.context.read_inputs()

    def on_segment_editor(self, _checked: bool = False) -> None:
        """Open the user's segmentation in the Segment Editor, over the image that carries the masks."""
        nodes, segmentation = self.context.nodes, self.context.state.segmentation
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(segmentation)
        if nodes is not None:
            editor.setSourceVolumeNode(nodes.reference)

    def on_keep_specks(self) -> None:
        """The user confirms that the small lesions are real."""
        keep_specks(self.context.state.segmentation)
        self.context.read_inputs()

    # display

    def refresh(self) -> None:
        """Show the findings of the last check, or of the last grading if that is newer."""
        context, ui = self.context, self.ui
        if context.report is not self._report or context.nodes != self._case:
            another = self._case is not None and context.nodes != self._case
            self._report, self._case = context.report, context.nodes
            if another:
                self.fixer.leave(context.state.segmentation)
            self.checker.forget()
        for runner in (self.fixer, self.checker):
            runner.forget_outdated_error()
        findings = context.findings
        shown = tuple(f for f in findings if is_of_masks(f)) if findings is not None else ()
        if shown != self._listed:
            self._listed = shown
            self._list(shown)
        ui.masksSummaryLabel.text = self._summary(findings, shown)
        message = self._message()
        ui.masksMessageLabel.text = message
        ui.masksMessageLabel.visible = bool(message)
        self.box.refresh()
        working = self.fixer.busy or self.checker.busy
        ready = context.nodes is not None and not (working or context.busy or context.leaving)
        ui.checkButton.enabled = ready
        ui.splitButton.enabled = ready and bool(context.choice.tumors)
        ui.segmentEditorButton.enabled = context.state.segmentation is not None
        ui.findingsWidget.enabled = ready
        ui.nextFindingButton.visible = sum(finding.location_ras is not None for finding in shown) > 1
        ui.nextFindingButton.enabled = context.nodes is not None
        self._fold(findings, shown, message)

    def _fold(self, findings: tuple[Finding, ...] | None, shown: tuple[Finding, ...], message: str) -> None:
        """Close the section while its masks are clean."""
        needs = urgent(shown)
        needs += ("proposal",) if self.fixer.proposal is not None else ()
        needs += (message,) if message and not (self.fixer.busy or self.checker.busy) else ()
        key = None if self.context.nodes is None else self.context.nodes.segmentation.GetID()
        if findings is None:
            line = _("not checked yet") if self.context.nodes is not None else ""
        elif shown:
            line = _("{count} to check").format(count=len(shown))
        else:
            line = _("changed since the check") if self.context.findings_outdated else _("nothing wrong found")
        self.folding.show(line, needs, key)

    def _summary(self, findings: tuple[Finding, ...] | None, shown: tuple[Finding, ...]) -> str:
        if findings is None:
            return _("Masks are checked when the case is graded, or here before that.")
        if self.context.findings_outdated:
            return BEFORE_THE_CHANGE if shown else _("Not checked since the last change.")
        return _("Please look at these:") if shown else _("The checks found nothing wrong with the masks.")

    def _message(self) -> str:
        for runner in (self.fixer, self.checker):
            if runner.busy:
                step = runner.progress[1]
                return _("{step}...").format(step=translated(step)) if step else _("Working...")
        for runner in (self.fixer, self.checker):
            if runner.state is RunState.FAILED and runner.error:
                return translated(runner.error)
        return translated(self.fixer.notice)

    def _mark_current(self) -> None:
        """Highlight the finding that is shown."""
        for label, finding in zip(self._labels, self._listed or ()):
            label.setStyleSheet("font-weight: bold" if finding == self._current else "")

    def _list(self, findings: tuple[Finding, ...]) -> None:
        layout = self.ui.findingsWidget.layout()
        empty_layout(layout)
        self._labels = []
        for number, finding in enumerate(findings):
            layout.addWidget(self._row(number, finding))
        self.ui.findingsWidget.visible = bool(findings)

    def _row(self, number: int, finding: Finding) -> Any:
        row = qt.QWidget()
        line = qt.QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        text = plain_label(translated(finding.message))
        text.wordWrap = True
        text.objectName = f"findingLabel{number}"
        self._labels.append(text)
        line.addWidget(text, 1)
        if finding.location_ras is not None:
            tip = _("Move all views there.")
            line.addWidget(self._button(_("Show"), f"findingShowButton{number}", tip, lambda: self.on_show(finding)))
        fix = fix_words(finding.code, self.context.task)
        if fix is not None:
            tip = _("{fix}, on a copy that you accept or reject.").format(fix=translated(fix))
            words = _("Split") if finding.code in SPLITS else _("Fix")
            line.addWidget(self._button(words, f"findingFixButton{number}", tip, lambda: self.on_fix(finding)))
        if finding.code == "small-lesions-left-out":
            tip = _("They are real: grade them too. It is kept with the segmentation.")
            line.addWidget(self._button(_("Keep"), f"findingKeepButton{number}", tip, self.on_keep_specks))
        return row

    @staticmethod
    def _button(text: str, name: str, tip: str, action: Any) -> Any:
        button = qt.QToolButton()
        button.text = text
        button.objectName = name
        button.toolTip = as_is(tip)
        button.connect("clicked(bool)", lambda _checked=False: action())
        return button

    def _on_runner(self, _what: Any = None) -> None:
        if not self.context.suspended:
            self.refresh()

    # lifecycle

    def enter(self) -> None:
        """Claim the keys and show a proposal in the views while the module is open."""
        self._keys.claim(self.root)
        self.box.enter()

    def exit(self) -> None:
        """Release the keys, and restore the views."""
        self._keys.release()
        self.box.exit()

    def before_scene_closes(self) -> None:
        """Release the nodes."""
        super().before_scene_closes()
        self.box.before_scene_closes()
        self.fixer.leave()
        self.checker.forget()
        self._case = self._report = None

    def cleanup(self) -> None:
        """Stop the work and remove a copy that is still proposed."""
        self._keys.release()
        self.folding.close()
        self.fixer.close()
        self.box.close()
        super().cleanup()
