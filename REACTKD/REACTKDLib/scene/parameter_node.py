"""The parameter node of a case: its inputs, choices and outputs, saved with the scene."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.text import packed, unpacked
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.scene_nodes import free_name, nodes_of_class
from REACTKDLib.scene.segments import SegmentChoice

MODULE = "REACTKD"
NODE_CLASS = "vtkMRMLScriptedModuleNode"
INPUT_ROLES = {Modality.CT: "CT", Modality.FDG: "FDG", Modality.ACETATE: "Acetate"}
SEGMENTATION_ROLE = "Segmentation"
REPORT, TEXTS = "Report", "ReportTexts"  # the second for the panel: texts with template and values
MODEL, LIVERS, TUMORS, CASE_ID = "Model", "LiverSegments", "TumorSegments", "CaseID"
SPECKS = "KeepSpecks"


def module_nodes(scene: Any, module: str) -> list[Any]:
    """Return the scripted-module nodes of the scene that belong to a module."""
    return [node for node in nodes_of_class(scene, NODE_CLASS) if node.GetModuleName() == module]


def new_module_node(scene: Any, module: str, name: str) -> Any:
    """Add a scripted-module node that belongs to a module, and return it."""
    node = scene.CreateNodeByClass(NODE_CLASS)
    node.UnRegister(None)
    node.SetName(name)
    node.SetModuleName(module)
    node.SetAttribute("ModuleName", module)
    node.SetHideFromEditors(True)
    return scene.AddNode(node)


def parameter_nodes(scene: Any) -> list[Any]:
    """Return every REACTKD parameter node of the scene: one for each graded case."""
    return module_nodes(scene, MODULE)


def find_parameter_node(scene: Any, nodes: CaseNodes) -> Any | None:
    """Return the parameter node of the case with this reference volume, or None."""
    for node in parameter_nodes(scene):
        known = read_inputs(node)
        if known is not None and known.reference.GetID() == nodes.reference.GetID():
            return node
    return None


def parameter_node_for(scene: Any, nodes: CaseNodes) -> Any:
    """Return the parameter node of the case with this reference volume, or a new one."""
    node = find_parameter_node(scene, nodes)
    return node if node is not None else new_module_node(scene, MODULE, free_name(scene, MODULE))


def write_inputs(node: Any, nodes: CaseNodes, choice: SegmentChoice, case_id: str) -> None:
    """Record the input nodes and the chosen segments."""
    for modality, role in INPUT_ROLES.items():
        volume = nodes.volumes.get(modality)
        node.SetNodeReferenceID(role, volume.GetID() if volume is not None else None)
    node.SetNodeReferenceID(SEGMENTATION_ROLE, nodes.segmentation.GetID())
    node.SetParameter(LIVERS, json.dumps(list(choice.livers)))
    node.SetParameter(TUMORS, json.dumps(list(choice.tumors)))
    node.SetParameter(SPECKS, "true" if choice.keep_specks else "")
    node.SetParameter(CASE_ID, case_id)


def read_inputs(node: Any) -> CaseNodes | None:
    """Return the input nodes that a parameter node records, or None if they no longer exist."""
    volumes = {modality: node.GetNodeReference(role) for modality, role in INPUT_ROLES.items()}
    segmentation = node.GetNodeReference(SEGMENTATION_ROLE)
    if segmentation is None or not any(volumes.values()):
        return None
    return CaseNodes(volumes, segmentation)


def recorded_ids(node: Any) -> list[str]:
    """Return the IDs of the recorded input nodes that still exist, the reference volume first, segmentation last."""
    return list(filter(None, map(node.GetNodeReferenceID, (*INPUT_ROLES.values(), SEGMENTATION_ROLE))))


def read_choice(node: Any) -> SegmentChoice | None:
    """Return the chosen segments that a parameter node records, for the built-in task; None if there are none."""
    livers, tumors = read_names(node, LIVERS), read_names(node, TUMORS)
    if not livers or tumors is None:
        return None
    return SegmentChoice(tuple(livers), tuple(tumors), node.GetParameter(SPECKS) == "true")


def read_names(node: Any, parameter: str) -> list[str] | None:
    """Return the names that a parameter lists; None if it lists none, or is damaged."""
    try:
        names = parse_json(node.GetParameter(parameter) or "null")
    except ValueError:
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def write_report(node: Any, report: GradeReport) -> None:
    """Record the report, as one line of JSON, and the model's name and version."""
    node.SetParameter(REPORT, json.dumps(report.to_dict(), allow_nan=False))
    node.SetParameter(TEXTS, json.dumps(packed(report.to_dict()), allow_nan=False))
    node.SetParameter(MODEL, f"{report.model.name} {report.model.version}")


def read_report(node: Any) -> GradeReport | None:
    """Return the report that a parameter node records; None if it has none, or one that this version cannot read."""
    text, texts = node.GetParameter(REPORT), node.GetParameter(TEXTS)
    if not text:
        return None
    try:
        report = parse_json(text)
        if texts:
            translatable = parse_json(texts, object_hook=unpacked)
            report = translatable if translatable == report else report  # otherwise another version has graded since
        return GradeReport.from_dict(report)
    except (ReactkdError, ValueError, KeyError, TypeError, AttributeError):  # of a later version, or edited by hand
        return None


def referenced(node: Any, roles: Iterable[str]) -> dict[str, Any]:
    """Return {role: node} of the references that are set and still have a node."""
    found = {role: node.GetNodeReference(role) for role in roles}
    return {role: target for role, target in found.items() if target is not None}
