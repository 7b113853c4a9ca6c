"""What the sections of the panel share: the case at hand, its answer, the work that is going on, and what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from REACTKDLib.scene.signal import Signal


class PanelContext:
    """Shared state of the panel, and the few things that a section may ask of all others.

    resources: the module's folder Resources.
    nodes: the input nodes (`scene.case.CaseNodes`) of the case at hand, or None while they make no case.
    choice: its liver and tumor segments (`scene.segments.SegmentChoice`), or None.
    case_id: its name in reports, free of patient data.
    result: the last answer (`scene.result.SceneResult`) since the case was opened here; None after a scene was loaded.
    parameter_node: of the case at hand, once it is graded; `report` is read from it, so it survives a saved scene.
    bundle_folder: the model, None for the shipped one.
    state: 'idle', 'running', 'canceling' or 'failed'. message: why it failed, one sentence.

    Signals: inputs_changed (another case or other inputs), state_changed (state, progress, message), result_changed
    (a new answer, or none), masks_edited (the segmentation was changed), changed (anything else).
    """

    def __init__(self, resources: Path) -> None:
        self.resources = resources
        self.inputs_changed, self.state_changed, self.result_changed = Signal(), Signal(), Signal()
        self.masks_edited, self.changed = Signal(), Signal()
        self.nodes: Any = None
        self.choice: Any = None
        self.case_id: str | None = None
        self.result: Any = None
        self.parameter_node: Any = None
        self.bundle_folder: Path | None = None
        self.state = "idle"
        self.message = ""
        self.progress, self.progress_text = 0.0, ""

    @property
    def scene(self) -> Any:
        """The scene of the application."""
        return slicer.mrmlScene

    @property
    def busy(self) -> bool:
        """True while a grading runs or is being stopped."""
        return self.state in ("running", "canceling")

    @property
    def report(self) -> Any:
        """The GradeReport of the case at hand, or None."""
        from REACTKDLib.scene.parameter_node import read_report

        return read_report(self.parameter_node) if self.parameter_node is not None else None

    def open_case(self, nodes: Any, choice: Any = None, case_id: str | None = None) -> None:
        """Make `nodes` (CaseNodes) the case at hand: the Inputs section shows them. choice None: recognize segments."""
        raise NotImplementedError

    def close_case(self) -> None:
        """Let go of the case at hand: stop its work, forget its session. Its nodes stay in the scene."""
        raise NotImplementedError

    def grade(self) -> None:
        """Grade the case at hand, as the Grade button does; the answer comes with result_changed."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop the work within a second."""
        raise NotImplementedError

    def use_bundle(self, folder: Path | str | None) -> None:
        """Grade with the model in `folder` from now on; None: the shipped one."""
        raise NotImplementedError
