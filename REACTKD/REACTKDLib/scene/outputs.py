"""The results in the scene: nodes of their own, kept together, and written over when the case is graded again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from REACTKDLib.scene.colors import EFFECT_TABLE, HEAT_TABLE, fill_effect_table, fill_heat_table, show_legend
from REACTKDLib.scene.effect_scale import write_effect_scale
from REACTKDLib.scene.folder import put_in_folder
from REACTKDLib.scene.heat_map import write_heat_map
from REACTKDLib.scene.parameter_node import REPORT, referenced, write_report
from REACTKDLib.scene.region_segmentation import write_regions
from REACTKDLib.scene.region_table import write_table
from REACTKDLib.scene.result import GradeResult

# role of the reference on the parameter node: (class of the node, name)
ROLES = {
    "EffectColors": ("vtkMRMLColorTableNode", EFFECT_TABLE),
    "HeatColors": ("vtkMRMLColorTableNode", HEAT_TABLE),
    "Regions": ("vtkMRMLSegmentationNode", "REACTKD regions"),
    "HeatMap": ("vtkMRMLScalarVolumeNode", "REACTKD heat map"),
    "EffectScale": ("vtkMRMLModelNode", "REACTKD effect scale"),
    "RegionTable": ("vtkMRMLTableNode", "REACTKD region table"),
}


@dataclass(frozen=True)
class Outputs:
    """The output nodes of one case."""

    effect_colors: Any
    heat_colors: Any
    regions: Any
    heat_map: Any
    effect_scale: Any
    table: Any


def outputs_of(parameter_node: Any) -> Outputs | None:
    """Return the output nodes of a parameter node, or None when the case is not graded or a node was deleted."""
    found = referenced(parameter_node, ROLES)
    return Outputs(*found.values()) if len(found) == len(ROLES) else None


def write_outputs(scene: Any, parameter_node: Any, result: GradeResult, reference: Any, folder_name: str) -> Outputs:
    """Write `result` into the output nodes of `parameter_node`, making those that are missing; return them.

    reference: the volume node on whose grid the result lies; outputs share its frame. Input nodes are not touched.
    """
    found = referenced(parameter_node, ROLES)
    for role, (class_name, name) in ROLES.items():
        if role not in found:
            found[role] = scene.AddNewNodeByClass(class_name, scene.GenerateUniqueName(name))
            parameter_node.SetNodeReferenceID(role, found[role].GetID())
    outputs = Outputs(*(found[role] for role in ROLES))
    fill_effect_table(outputs.effect_colors)
    fill_heat_table(outputs.heat_colors)
    write_regions(outputs.regions, result, reference)
    write_heat_map(outputs.heat_map, outputs.heat_colors, result, reference)
    show_legend(outputs.heat_map, "Heat map", "%.2f", x=0.02)
    write_effect_scale(outputs.effect_scale, outputs.effect_colors, result)
    write_table(outputs.table, result.report)
    write_report(parameter_node, result.report)
    in_tree = (outputs.regions, outputs.heat_map, outputs.table, outputs.effect_scale)
    put_in_folder(scene, folder_name, in_tree)
    return outputs


def remove_outputs(scene: Any, parameter_node: Any) -> None:
    """Remove the output nodes of a case, with their display nodes, and its report. The inputs stay."""
    for role, node in referenced(parameter_node, ROLES).items():
        parameter_node.SetNodeReferenceID(role, None)
        if node.IsA("vtkMRMLDisplayableNode"):
            for index in reversed(range(node.GetNumberOfDisplayNodes())):  # and color legends, which are among them
                scene.RemoveNode(node.GetNthDisplayNode(index))
        scene.RemoveNode(node)
    parameter_node.UnsetParameter(REPORT)
