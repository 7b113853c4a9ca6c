"""Grades a case of the scene, repeatedly after mask edits, with the results in the scene."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Protocol

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import IsCanceled, OnProgress
from REACTKDLib.core.task import Task
from REACTKDLib.scene.case import CaseNodes, read_case, read_masks
from REACTKDLib.scene.graded_inputs import read_content, write_content
from REACTKDLib.scene.outputs import remove_lost_results, write_outputs
from REACTKDLib.scene.own_results import refuse_results
from REACTKDLib.scene.parameter_node import parameter_node_for, write_inputs
from REACTKDLib.scene.result import GradeResult
from REACTKDLib.scene.segments import SegmentChoice, choose_segments


class CoreSession(Protocol):
    """An opened case whose features are kept; see `core.grading.session.Session`."""

    case: Case

    def correct(
        self,
        liver: np.ndarray | None,
        tumor: np.ndarray | None,
        *,
        lesions: np.ndarray | None = None,
        findings: Collection[Finding] | None = None,
    ) -> None:
        """Replace the masks, the map of separately drawn lesions, and the findings of their reading."""
        ...

    def grade(self) -> GradeResult:
        """Grade with the masks of the case."""
        ...


class CoreGrader(Protocol):
    """See `core.grading.grader.Grader`."""

    task: Task

    def open(self, case: Case, on_progress: OnProgress = ..., is_canceled: IsCanceled = ...) -> CoreSession:
        """Encode the images of a case once."""
        ...


class SceneSession:
    """A case of the scene, opened: images are read and encoded once, masks at each `grade`.

    choice: the segments. case_id: for the report. parameter_node: None until the first grade makes it.
    """

    def __init__(
        self,
        scene: Any,
        nodes: CaseNodes,
        grader: CoreGrader,
        choice: SegmentChoice | None = None,
        case_id: str | None = None,
        parameter_node: Any | None = None,
        **hooks: Any,
    ) -> None:
        """Read the nodes and encode the images; the scene does not change. hooks: on_progress, is_canceled.

        Raises: what `refuse_results`, `choose_segments`, `read_case`, `core.masks.checks.checked` and the grader raise.
        """
        refuse_results(scene, nodes)
        self.scene = scene
        self.nodes = nodes
        self.choice = choice or choose_segments(nodes.segmentation, task=grader.task)
        self.parameter_node = parameter_node
        self._masks_are_fresh = True
        self._core = grader.open(checked(read_case(nodes, self.choice, case_id)), **hooks)
        self._content = read_content(nodes, self.choice)

    def grade(self) -> GradeResult:
        """Grade with the masks as they are drawn now, write the results into the scene, and return them.

        Nothing in the scene changes when the grading raises. Raises: see the constructor.
        """
        result = self.answer()
        self.show(result)
        return result

    def answer(self) -> GradeResult:
        """Grade with the masks as they are drawn now; the scene does not change. Raises: see the constructor."""
        if not self._masks_are_fresh:  # the masks read on opening serve for one grade; they may change after it
            drawn = read_masks(self.nodes, self.choice)
            self._content = read_content(self.nodes, self.choice)
            self._core.correct(drawn.liver, drawn.tumor, lesions=drawn.lesions, findings=drawn.findings)
        self._masks_are_fresh = False
        return self._core.grade()

    def show(self, result: GradeResult) -> None:
        """Write a result of this session into the scene: overlays, table and report, in the case's own nodes."""
        if self.parameter_node is None:
            remove_lost_results(self.scene, self.nodes.reference)
            self.parameter_node = parameter_node_for(self.scene, self.nodes)
        write_inputs(self.parameter_node, self.nodes, self.choice, self._core.case.id)
        write_content(self.parameter_node, self._content)
        reference = self.nodes.reference
        write_outputs(self.scene, self.parameter_node, result, reference, f"REACTKD {reference.GetName()}")


def grade_in_scene(
    scene: Any,
    ct: Any = None,
    fdg: Any = None,
    acetate: Any = None,
    *,
    segmentation: Any,
    grader: CoreGrader,
    liver_segment: str | Iterable[str] | None = None,
    tumor_segments: str | Iterable[str] | None = None,
    case_id: str | None = None,
    parameter_node: Any | None = None,
    **hooks: Any,
) -> Any:
    """Grade one case and return its parameter node, which leads to report and outputs.

    Grading the same reference volume again overwrites its output nodes. hooks: on_progress, is_canceled, for the
    grader. Raises: see `SceneSession`; the scene is then unchanged.
    """
    nodes = CaseNodes({Modality.CT: ct, Modality.FDG: fdg, Modality.ACETATE: acetate}, segmentation)
    choice = choose_segments(segmentation, liver_segment, tumor_segments, grader.task)
    session = SceneSession(scene, nodes, grader, choice, case_id, parameter_node, **hooks)
    session.grade()
    return session.parameter_node
