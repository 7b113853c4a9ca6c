"""Grade a case of the scene, and again after each mask edit, with the results in the scene."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from REACTKDLib.core.case import Case, Modality
from REACTKDLib.scene.case import CaseNodes, read_case, read_masks
from REACTKDLib.scene.outputs import write_outputs
from REACTKDLib.scene.parameter_node import parameter_node_for, write_inputs
from REACTKDLib.scene.result import GradeResult
from REACTKDLib.scene.segments import SegmentChoice, choose_segments

Progress = Callable[[float, str], None]
Canceled = Callable[[], bool]


class CoreSession(Protocol):
    """An opened case whose features are kept; see `core.grader.Session`."""

    def grade(self, liver: np.ndarray | None = None, tumor: np.ndarray | None = None) -> GradeResult:
        """Grade with the masks of the case, or with these."""
        ...


class CoreGrader(Protocol):
    """See `core.grader.Grader`."""

    def open(self, case: Case, progress: Progress | None = None, cancelled: Canceled | None = None) -> CoreSession:
        """Encode the images of a case once."""
        ...


class SceneSession:
    """A case of the scene, opened: images are read and encoded once, masks at each `grade`."""

    def __init__(
        self, scene: Any, nodes: CaseNodes, choice: SegmentChoice, core: CoreSession, case_id: str, parameter_node: Any
    ) -> None:
        self.scene = scene
        self.nodes = nodes
        self.choice = choice
        self.parameter_node = parameter_node
        self.case_id = case_id
        self._core = core
        self._fresh = True

    @classmethod
    def open(
        cls,
        scene: Any,
        nodes: CaseNodes,
        grader: CoreGrader,
        choice: SegmentChoice | None = None,
        case_id: str | None = None,
        parameter_node: Any | None = None,
        **hooks: Any,
    ) -> SceneSession:
        """Read the nodes and encode the images. The scene is not changed until `grade`.

        choice: segments; None leaves it to recognition. case_id: for the report. hooks: progress, cancelled.

        Raises: what `choose_segments`, `read_case` and the grader raise.
        """
        choice = choice or choose_segments(nodes.segmentation)
        case = read_case(nodes, choice, case_id)
        return cls(scene, nodes, choice, grader.open(case, **hooks), case.id, parameter_node)

    def grade(self) -> GradeResult:
        """Grade with the masks as they are drawn now, write the results into the scene, and return them.

        Nothing in the scene changes when the grading raises.
        """
        if self._fresh:
            result = self._core.grade()
        else:
            liver, tumor = read_masks(self.nodes, self.choice)
            result = self._core.grade(liver=liver, tumor=tumor)
        self._fresh = False
        self._write(result)
        return result

    def _write(self, result: GradeResult) -> None:
        if self.parameter_node is None:
            self.parameter_node = parameter_node_for(self.scene, self.nodes)
        write_inputs(self.parameter_node, self.nodes, self.choice, self.case_id)
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

    Grading the same reference volume again writes over the same output nodes. hooks: progress, cancelled, for the
    grader. Raises: see `SceneSession.open`; then the scene is as it was.
    """
    nodes = CaseNodes({Modality.CT: ct, Modality.FDG: fdg, Modality.ACETATE: acetate}, segmentation)
    choice = choose_segments(segmentation, liver_segment, tumor_segments)
    session = SceneSession.open(scene, nodes, grader, choice, case_id, parameter_node, **hooks)
    session.grade()
    return session.parameter_node
