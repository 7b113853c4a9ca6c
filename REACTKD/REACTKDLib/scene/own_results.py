"""Finds the nodes that this module made, results of gradings and temporary copies, so that they are not used as inputs.

A voxel map has the grid of its CT and looks like a PET, and regions are recognized by their terminology: both would be
graded like a patient's images and masks, and the regions overwritten by their own result. A copy, such as that of a
proposed fix, is removed soon. No selector offers it, but a script may choose it.
"""

from __future__ import annotations

from typing import Any

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import ROLES, SEGMENTATION_ROLE
from REACTKDLib.core.text import tr as _
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.outputs import ROLES as OUTPUT_ROLES
from REACTKDLib.scene.parameter_node import parameter_nodes, referenced
from REACTKDLib.scene.scene_nodes import is_temporary


def result_ids(scene: Any) -> set[str]:
    """Return the IDs of the output nodes of all graded cases."""
    return {node.GetID() for case in parameter_nodes(scene) for node in referenced(case, OUTPUT_ROLES).values()}


def refuse_results(scene: Any, nodes: CaseNodes) -> None:
    """Raise UsageError if a node of the case is the result of a grading, or a temporary copy such as a proposed fix."""
    own = result_ids(scene)
    chosen = [(node, ROLES[modality]) for modality, node in nodes.volumes.items()]
    for node, role in (*chosen, (nodes.segmentation, SEGMENTATION_ROLE)):
        if node.GetID() in own:
            text = _("What is chosen as {role} is a result of this module; choose an image or masks of the patient.")
            raise UsageError(text, role=role)
        if is_temporary(node):
            text = _(
                "What is chosen as {role} is a temporary copy of this module, such as a proposed fix; accept the fix, "
                "or choose an image or masks of the patient."
            )
            raise UsageError(text, role=role)
