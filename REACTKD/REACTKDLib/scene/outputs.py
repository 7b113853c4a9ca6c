"""The output nodes of a case in the scene, kept together and overwritten when the case is graded again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from REACTKDLib.core.errors import ResultGone
from REACTKDLib.core.text import tr as _
from REACTKDLib.scene.colors import (
    EFFECT_TABLE,
    HEAT_TABLE,
    WEIGHT_TABLE,
    fill_effect_table,
    fill_heat_table,
    fill_weight_table,
    legend_of,
    show_legend,
)
from REACTKDLib.scene.folder import give_item, put_in_folder, take_out_of_folder
from REACTKDLib.scene.graded_inputs import NEAR_MM
from REACTKDLib.scene.heat_map import create_display, hide_from_slices, write_heat_map
from REACTKDLib.scene.parameter_node import (
    REPORT,
    parameter_nodes,
    read_inputs,
    read_report,
    recorded_ids,
    referenced,
    write_report,
)
from REACTKDLib.scene.region_graph import write_graph
from REACTKDLib.scene.region_segmentation import (
    color_liver_outline,
    write_liver_outline,
    write_outline_of,
    write_regions,
    write_surface_steps,
)
from REACTKDLib.scene.region_table import write_table
from REACTKDLib.scene.result import GradeResult
from REACTKDLib.scene.scene_nodes import displays_of, free_name, nodes_of_class, remove_with_displays
from REACTKDLib.scene.shown_views import place_legend
from REACTKDLib.scene.translation import translated
from REACTKDLib.scene.view_choice import ViewChoice, show_as, show_graph, show_regions
from REACTKDLib.scene.volumes import ijk_to_ras_of

# role of the reference on the parameter node: (node class, name)
ROLES = {
    "EffectColors": ("vtkMRMLColorTableNode", EFFECT_TABLE),
    "WeightColors": ("vtkMRMLColorTableNode", WEIGHT_TABLE),
    "HeatColors": ("vtkMRMLColorTableNode", HEAT_TABLE),
    "Regions": ("vtkMRMLSegmentationNode", "REACTKD regions"),
    "HeatMap": ("vtkMRMLScalarVolumeNode", "REACTKD voxel map"),
    "ColorScale": ("vtkMRMLModelNode", "REACTKD color scale"),
    "GraphNodes": ("vtkMRMLModelNode", "REACTKD graph nodes"),
    "GraphEdges": ("vtkMRMLModelNode", "REACTKD graph edges"),
    "RegionTable": ("vtkMRMLTableNode", "REACTKD region table"),
    "LiverOutline": ("vtkMRMLSegmentationNode", "REACTKD liver outline"),
}
_LATER = {"LiverOutline"}  # missing in scenes of earlier versions
_UNLISTED = {"LiverOutline"}  # it follows the regions, so the module Data and selectors do not show it


@dataclass(frozen=True)
class Outputs:
    """The output nodes of one case, in the order of `ROLES`. liver_outline: None in a scene of an earlier version."""

    effect_colors: Any
    weight_colors: Any
    heat_colors: Any
    regions: Any
    heat_map: Any
    scale: Any
    graph_nodes: Any
    graph_edges: Any
    table: Any
    liver_outline: Any = None


def own_legend_titles(scene: Any) -> set[str]:
    """Return the titles of the color legends of all graded cases."""
    outputs = filter(None, map(outputs_of, parameter_nodes(scene)))
    legends = (legend_of(node) for found in outputs for node in (found.heat_map, found.scale))
    return {legend.GetTitleText() for legend in legends if legend is not None}


def place_legends(outputs: Outputs) -> None:
    """Show each legend of a graded case in one of the visible views."""
    for legend in filter(None, (legend_of(outputs.heat_map), legend_of(outputs.scale))):
        place_legend(legend)


def outputs_of(parameter_node: Any) -> Outputs | None:
    """Return the output nodes of a parameter node, or None if the case is not graded or a node was deleted.

    A node whose display was deleted counts as deleted: it cannot be shown until the case is graded again.
    """
    found = {role: node for role, node in referenced(parameter_node, ROLES).items() if _has_display(node)}
    return Outputs(*map(found.get, ROLES)) if set(found) >= set(ROLES) - _LATER else None


def _has_display(node: Any) -> bool:
    return not node.IsA("vtkMRMLDisplayableNode") or any(not _is_legend(display) for display in displays_of(node))


def _is_legend(display: Any) -> bool:
    return display.IsA("vtkMRMLColorLegendDisplayNode")


def is_whole(parameter_node: Any) -> bool:
    """Return whether a result is completely written, so that its display can be changed."""
    return bool(parameter_node.GetParameter(REPORT)) and outputs_of(parameter_node) is not None


def follow_reference(outputs: Outputs, reference: Any) -> None:
    """Put the result under the transform of its image, which may have been moved as a whole since.

    An image whose own position differs from that of the map, as after hardening, is not the one that was graded.
    """
    if not np.allclose(ijk_to_ras_of(outputs.heat_map), ijk_to_ras_of(reference), rtol=0.0, atol=NEAR_MM):
        return
    placed = (outputs.regions, outputs.liver_outline, outputs.heat_map, outputs.graph_nodes, outputs.graph_edges)
    for node in filter(None, placed):
        if node.GetTransformNodeID() != reference.GetTransformNodeID():
            node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())


def write_outputs(
    scene: Any,
    parameter_node: Any,
    result: GradeResult,
    reference: Any,
    folder_name: str,
) -> Outputs:
    """Write `result` into the output nodes of `parameter_node`, creating missing ones; return them.

    reference: the volume node whose grid the result has; outputs share its frame. Input nodes are not changed.
    """
    for _step in output_steps(scene, parameter_node, result, reference, folder_name):
        pass
    return outputs_of(parameter_node)


def output_steps(
    scene: Any,
    parameter_node: Any,
    result: GradeResult,
    reference: Any,
    folder_name: str,
    view: Callable[[], ViewChoice | None] = lambda: None,
    before_surfaces: Iterable[None] = (),
    before_map: Iterable[None] = (),
) -> Iterator[None]:
    """Like `write_outputs`, in steps of a few hundredths of a second, with a yield after each.

    view: called when something is ready to be shown, since the reader may change it meanwhile. before_surfaces,
    before_map: steps after which the result has its surfaces and its voxel map. Slices show the regions before them, in
    their colors, and `outputs_of` returns the nodes.

    The caller may stop in between when the scene or the case goes: the report is recorded last, and a former one is
    removed first, so that regions and report never disagree.
    """
    parameter_node.UnsetParameter(REPORT)
    outputs = yield from _made(scene, parameter_node)
    fill_effect_table(outputs.effect_colors)
    fill_weight_table(outputs.weight_colors)
    fill_heat_table(outputs.heat_colors)
    create_display(outputs.heat_map)
    yield
    write_liver_outline(outputs.liver_outline, result, reference)
    write_regions(outputs.regions, result, reference)
    show_regions(outputs, result.report, view() or ViewChoice())  # in this step: new segments have random colors
    yield
    write_graph(outputs.graph_nodes, outputs.graph_edges, result.report, reference)
    show_graph(outputs, result.report, view() or ViewChoice())  # in this step: new spheres have the color of 0
    yield
    write_table(outputs.table, result.report)
    yield
    yield from before_surfaces
    yield from write_surface_steps(outputs.regions, result)
    yield
    yield from before_map
    write_heat_map(outputs.heat_map, outputs.heat_colors, result, reference)
    show_legend(outputs.heat_map, translated(_("Voxel map")), "%.2f", x=0.02)
    yield
    in_tree = (
        outputs.regions,
        outputs.heat_map,
        outputs.table,
        outputs.scale,
        outputs.graph_nodes,
        outputs.graph_edges,
    )
    put_in_folder(scene, folder_name, in_tree)
    yield
    show_as(outputs, result.report, view() or ViewChoice())
    write_report(parameter_node, result.report)  # in one step, so that later choices find a complete result


def watched_outputs(parameter_node: Any, steps: Iterator[None]) -> Generator[None, None, None]:
    """Run `output_steps` with other work in between, and check after each step that no node was removed.

    Raises: ResultGone if an output or the parameter node is removed; the other outputs are then removed too.
    """
    with closing(steps):
        for _step in steps:
            scene, before = parameter_node.GetScene(), referenced(parameter_node, ROLES)
            yield
            if parameter_node.GetScene() is None or not set(before) <= set(referenced(parameter_node, ROLES)):
                _remove_output_nodes(scene, before)  # a removed parameter node refers to them no longer
                raise ResultGone(
                    _("A node of the result was removed while the result was written; grade the case again.")
                )


def _made(scene: Any, parameter_node: Any) -> Generator[None, None, Outputs]:
    """Return the output nodes; each missing one is created in a separate step, since every view reacts to it."""
    found = referenced(parameter_node, ROLES)
    for node in found.values():
        if not _has_display(node):
            _remove_legends(scene, node)  # its first display node is the one that the node itself is drawn by
    for role in sorted(ROLES, key=lambda role: role != "LiverOutline"):  # first, since lesions are drawn over it
        class_name, name = ROLES[role]
        if role not in found:
            node = scene.CreateNodeByClass(class_name)
            node.UnRegister(None)
            node.SetName(free_name(scene, name))
            node.SetHideFromEditors(role in _UNLISTED)
            found[role] = scene.AddNode(node)
            if role in _UNLISTED:
                give_item(scene, found[role])
            parameter_node.SetNodeReferenceID(role, found[role].GetID())
            yield
    yield
    return Outputs(*(found[role] for role in ROLES))


def remove_outputs(scene: Any, parameter_node: Any) -> None:
    """Remove the output nodes of a case, with their display nodes, and its report. The inputs stay."""
    found = referenced(parameter_node, ROLES)
    for role in found:
        parameter_node.SetNodeReferenceID(role, None)
    _remove_output_nodes(scene, found)
    parameter_node.UnsetParameter(REPORT)


def remove_lost_results(scene: Any, reference: Any) -> None:
    """Remove the results on a reference volume whose masks were deleted: no case shows them again.

    That of masks which still exist is overwritten instead, by a grade with others on the same volume.
    """
    for parameter_node in parameter_nodes(scene):
        lost = read_inputs(parameter_node) is None
        if lost and recorded_ids(parameter_node)[:1] == [reference.GetID()]:
            remove_outputs(scene, parameter_node)
            scene.RemoveNode(parameter_node)


def restore_outline(parameter_node: Any) -> None:
    """Draw the outline of the organ where a loaded scene lacks it.

    Slicer before 5.13 saves no file of a hidden node beside an .mrml. In scenes of earlier versions of this module the
    outline is missing.
    """
    outputs, report, scene = outputs_of(parameter_node), read_report(parameter_node), parameter_node.GetScene()
    if outputs is None or report is None:
        return
    outline = outputs.liver_outline
    if outline is None or outline.GetSegmentation().GetNumberOfSegments() == 0:
        for _step in _made(scene, parameter_node):
            pass
        outline = parameter_node.GetNodeReference("LiverOutline")
        write_outline_of(outline, outputs.regions, report.task)
    give_item(scene, outline)
    color_liver_outline(outline, outputs.regions)


def remove_lone_outlines(scene: Any) -> None:
    """Remove the outline of the organ where the user deleted the regions, or their display: it is in no list, so no one
    else could.

    A result that is being written has no report yet, and is left as it is.
    """
    for parameter_node in parameter_nodes(scene):
        found = referenced(parameter_node, ("Regions", "LiverOutline"))
        regions = found.pop("Regions", None)
        if parameter_node.GetParameter(REPORT) and (regions is None or not _has_display(regions)):
            _remove_output_nodes(scene, found)


def _remove_output_nodes(scene: Any, found: Mapping[str, Any]) -> None:
    """Remove output nodes, by their role, with their display nodes; some may be gone already."""
    found = {role: node for role, node in found.items() if scene.IsNodePresent(node)}
    if "HeatMap" in found:
        hide_from_slices(scene, found["HeatMap"])
    for node in found.values():
        _remove_legends(scene, node)  # first: views report a legend without color table
    take_out_of_folder(scene, found.values())
    for node in sorted(found.values(), key=_is_color_table):  # last, when no display of the result uses them
        if not _is_color_table(node) or not _is_used(scene, node):
            remove_with_displays(scene, node)


def _is_color_table(node: Any) -> bool:
    return node.IsA("vtkMRMLColorNode")


def _is_used(scene: Any, table: Any) -> bool:
    """Return whether a display node has the color table, as an image of the user may."""
    displays = nodes_of_class(scene, "vtkMRMLDisplayNode")
    return any(display.GetColorNodeID() == table.GetID() for display in displays)


def _remove_legends(scene: Any, node: Any) -> None:
    if not node.IsA("vtkMRMLDisplayableNode"):
        return
    for display in filter(_is_legend, displays_of(node)):
        scene.RemoveNode(display)
