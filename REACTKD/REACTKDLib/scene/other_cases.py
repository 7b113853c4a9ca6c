"""Shows one case at a time: results and segments of all other cases in the scene are hidden, and shown again with their
case.

Otherwise two overlapping livers, or the last patient's legend over the next patient's images, would be read as one.
Nodes stay; only visibility changes, see `scene.hiding`; this also works in a scene that was saved and loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.colors import legend_of
from REACTKDLib.scene.heat_map import hide_from_slices
from REACTKDLib.scene.hiding import OTHER_CASE, hide, show
from REACTKDLib.scene.outputs import ROLES as OUTPUT_ROLES
from REACTKDLib.scene.outputs import outputs_of
from REACTKDLib.scene.parameter_node import find_parameter_node, parameter_nodes, read_inputs, read_report, referenced
from REACTKDLib.scene.scene_nodes import displays_of
from REACTKDLib.scene.view_choice import ViewChoice, show_as


def hide_other_cases(scene: Any, nodes: CaseNodes | None, *segmentations: Any, anew: bool = True) -> None:
    """Hide the outputs and segmentations of all graded cases but `nodes`, and these further segmentations.

    nodes: None without a current case; then only outputs are hidden, since the user is looking for masks to choose.
    anew: the case has changed since the last call; otherwise a segmentation that the user has shown by hand stays
    visible.
    """
    own = find_parameter_node(scene, nodes) if nodes is not None else None
    for parameter_node in parameter_nodes(scene):
        if parameter_node is own:
            continue
        inputs = read_inputs(parameter_node)
        if inputs is not None and nodes is not None:
            segmentations = (*segmentations, inputs.segmentation)
        for node in _drawn(parameter_node):
            if node.IsA("vtkMRMLVolumeNode"):
                hide_from_slices(scene, node)
        for display in _displays_of(parameter_node):
            _hide(display, anew)
    for segmentation in segmentations:
        own_masks = nodes is not None and segmentation is nodes.segmentation
        if not own_masks and segmentation.GetDisplayNode() is not None:
            _hide(segmentation.GetDisplayNode(), anew)


def _hide(display: Any, anew: bool) -> None:
    if anew or not display.IsA("vtkMRMLSegmentationDisplayNode") or not display.GetAttribute(OTHER_CASE):
        hide(display, OTHER_CASE)


def show_case_again(scene: Any, nodes: CaseNodes, view: ViewChoice) -> None:
    """Show again what `hide_other_cases` hid of this case."""
    displays = [nodes.segmentation.GetDisplayNode()]
    parameter_node = find_parameter_node(scene, nodes)
    outputs = outputs_of(parameter_node) if parameter_node is not None else None
    if parameter_node is not None:
        displays += _displays_of(parameter_node)
    shown = [display for display in displays if display is not None and show(display, OTHER_CASE)]
    report = read_report(parameter_node) if parameter_node is not None else None
    if shown and outputs is not None and report is not None:
        show_as(outputs, report, view)  # the view settings may have changed meanwhile


def _drawn(parameter_node: Any) -> list[Any]:
    """Return the displayed nodes of a result; the remaining ones if the user deleted some."""
    found = referenced(parameter_node, OUTPUT_ROLES).values()
    return [node for node in found if node.IsA("vtkMRMLDisplayableNode")]


def _displays_of(parameter_node: Any) -> Iterator[Any]:
    for node in _drawn(parameter_node):
        yield from displays_of(node)
        legend = legend_of(node)
        if legend is not None:
            yield legend
