"""A graded scene saved as .mrb and loaded again is the same scene; files are loaded as nodes at the right place."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import CaseNodes, case_from_nodes
from REACTKDLib.scene.folder import folder_of, take_out_of_folder
from REACTKDLib.scene.outputs import ROLES, outputs_of, restore_outline
from REACTKDLib.scene.parameter_node import (
    parameter_nodes,
    read_choice,
    read_inputs,
    read_report,
)
from REACTKDLib.scene.scene_nodes import remove_with_displays
from REACTKDLib.scene.session import grade_in_scene
from support.scene_cases import HandMadeGrader, make_case
from support.scene_files import load_scene, load_segmentation, load_volume, save_scene


def _grade(scene, nodes: CaseNodes):
    roles = {modality.value: node for modality, node in nodes.volumes.items()}
    return grade_in_scene(scene, **roles, segmentation=nodes.segmentation, grader=HandMadeGrader(), case_id="case 3")


def _state(scene) -> dict:
    """What a reader would see of a graded scene, as plain values."""
    (parameter_node,) = parameter_nodes(scene)
    outputs, inputs = outputs_of(parameter_node), read_inputs(parameter_node)
    data, display = outputs.regions.GetSegmentation(), outputs.regions.GetDisplayNode()
    heat = outputs.heat_map.GetDisplayNode()
    table = outputs.table.GetTable()
    scale = outputs.scale.GetDisplayNode()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    return {
        "report": read_report(parameter_node).to_dict(),
        "choice": read_choice(parameter_node),
        "model": parameter_node.GetParameter("Model"),
        "inputs": {m.value: node.GetName() for m, node in inputs.volumes.items()},
        "names": [parameter_node.GetNodeReference(role).GetName() for role in ROLES],
        "segments": [
            (i, data.GetSegment(i).GetName(), np.round(data.GetSegment(i).GetColor(), 3).tolist())
            for i in data.GetSegmentIDs()
        ],
        "terminology": [data.GetSegment(i).GetTerminology() for i in data.GetSegmentIDs()],
        "opacity": [
            [round(get(i), 4) for get in (display.GetSegmentOpacity2DFill, display.GetSegmentOpacity3D)]
            for i in data.GetSegmentIDs()
        ],
        "masks": [
            slicer.util.arrayFromSegmentBinaryLabelmap(outputs.regions, i, inputs.reference).tobytes()
            for i in data.GetSegmentIDs()
        ],
        "surfaces": data.ContainsRepresentation("Closed surface"),
        "heat map": slicer.util.arrayFromVolume(outputs.heat_map).tobytes(),
        "heat window": np.round([heat.GetWindowLevelMin(), heat.GetWindowLevelMax()], 4).tolist(),
        "heat threshold": np.round([heat.GetLowerThreshold(), heat.GetUpperThreshold()], 4).tolist(),
        "heat threshold applies": heat.GetApplyThreshold(),
        "heat colors": _colors(heat.GetColorNode()),
        "effect colors": _colors(scale.GetColorNode()),
        "effect range": np.round(scale.GetScalarRange(), 6).tolist(),
        "legends": [_legend(node) for node in (outputs.heat_map, outputs.scale)],
        "table": [
            [table.GetColumnName(c), *(table.GetValue(r, c).ToString() for r in range(table.GetNumberOfRows()))]
            for c in range(table.GetNumberOfColumns())
        ],
        "column types": [table.GetColumn(c).GetDataType() for c in range(table.GetNumberOfColumns())],
        "unit": outputs.table.GetColumnUnitLabel("volume"),
        "folder": tree.GetItemName(folder_of(scene, outputs.regions)),
        "in folder": [folder_of(scene, node) != 0 for node in (outputs.heat_map, outputs.table)],
    }


def _colors(node) -> list:
    rgba = np.zeros(4)
    found = []
    for index in range(node.GetNumberOfColors()):
        node.GetColor(index, rgba)
        found.append(np.round(rgba, 2).tolist())  # a color file keeps 8 bits
    return found


def _legend(node) -> tuple:
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    return (legend.GetTitleText(), legend.GetLabelFormat(), legend.GetVisibility(), legend.GetNumberOfLabels())


def test_saved_and_loaded_scene_is_equal(scene, nodes, tmp_path):
    _grade(scene, nodes)
    before = _state(scene)
    save_scene(scene, tmp_path / "graded case.mrb")
    load_scene(scene, tmp_path / "graded case.mrb")
    after = _state(scene)
    for key, value in before.items():
        assert after[key] == value, key
    assert [p.name for p in tmp_path.iterdir()] == ["graded case.mrb"]


@pytest.mark.parametrize("lost", ["its voxels", "its display", "the node", "its item in the tree"])
def test_the_outline_of_the_organ_is_drawn_again_where_a_scene_lacks_it(scene, nodes, tmp_path, lost):
    """Slicer 5.10 saves no file of a hidden node beside an .mrml; earlier versions of this module had no such node."""
    outline = outputs_of(_grade(scene, nodes)).liver_outline
    drawn = slicer.util.arrayFromSegmentBinaryLabelmap(outline, "Outline", nodes.reference).copy()
    name, colors = outline.GetSegmentation().GetSegment("Outline").GetName(), _outline_color(outline)
    if lost == "its voxels":
        outline.GetSegmentation().RemoveAllSegments()
    elif lost == "its display":
        scene.RemoveNode(outline.GetDisplayNode())
    elif lost == "the node":
        take_out_of_folder(scene, [outline])
        remove_with_displays(scene, outline)
    else:
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        tree.RemoveItem(tree.GetItemByDataNode(outline), False, False)
    save_scene(scene, tmp_path / "scene.mrb")
    load_scene(scene, tmp_path / "scene.mrb")
    (parameter_node,) = parameter_nodes(scene)
    restore_outline(parameter_node)
    outputs = outputs_of(parameter_node)
    again = outputs.liver_outline
    reference = read_inputs(parameter_node).reference
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(again, "Outline", reference) > 0, drawn > 0)
    assert again.GetSegmentation().GetSegment("Outline").GetName() == name and again.GetHideFromEditors()
    assert np.allclose(_outline_color(again), colors, atol=1e-3) and again.GetDisplayNode().GetVisibility()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert tree.GetItemByDataNode(again), "otherwise Slicer reports an error for each change of its segments"
    count, time = scene.GetNumberOfNodes(), again.GetSegmentation().GetMTime()
    restore_outline(parameter_node)
    assert (scene.GetNumberOfNodes(), again.GetSegmentation().GetMTime()) == (count, time), "once is enough"


def _outline_color(outline) -> list:
    display = outline.GetDisplayNode()
    color = outline.GetSegmentation().GetSegment("Outline").GetColor()
    return [*color, display.GetSegmentOpacity2DFill("Outline"), display.GetSegmentOpacity2DOutline("Outline")]


def test_grading_a_loaded_scene_writes_over_its_outputs(scene, nodes, tmp_path):
    _grade(scene, nodes)
    save_scene(scene, tmp_path / "scene.mrb")
    load_scene(scene, tmp_path / "scene.mrb")
    (parameter_node,) = parameter_nodes(scene)
    count = scene.GetNumberOfNodes()
    assert _grade(scene, read_inputs(parameter_node)).GetID() == parameter_node.GetID()
    assert scene.GetNumberOfNodes() == count


def test_files_become_the_case_that_was_written(scene, tmp_path):
    case = make_case()
    paths = {m: write_volume(v, tmp_path / f"{m.value}.nii.gz") for m, v in case.volumes.items()}
    masks = [("Liver", "liver", case.liver), ("Tumor", "tumor", case.tumor)]
    segmentation = write_segmentation(masks, case.reference.ijk_to_ras, tmp_path / "masks.seg.nrrd")
    nodes = {m.value: load_volume(path, m.value) for m, path in paths.items()}
    read = case_from_nodes(**nodes, segmentation=load_segmentation(scene, segmentation, "Segmentation"))
    assert np.array_equal(read.liver, case.liver)
    assert np.array_equal(read.tumor, case.tumor)
    for modality, volume in case.volumes.items():
        assert np.array_equal(read.volumes[modality].array, volume.array)
        corner = np.array([*np.array(volume.shape[::-1]) - 1, 1.0])
        apart = (read.volumes[modality].ijk_to_ras - volume.ijk_to_ras) @ corner
        assert np.abs(apart).max() < 0.01  # mm: NIfTI stores single precision
        assert read.volumes[modality].unit == volume.unit


def test_segments_of_a_label_map_are_selected_by_label(scene, tmp_path):
    case = make_case()
    labels = case.liver.astype(np.uint8) * 5
    labels[case.tumor] = 2
    path = write_volume(Volume(labels, case.reference.ijk_to_ras), tmp_path / "labels.nii.gz")
    ct = load_volume(write_volume(case.volumes[Modality.CT], tmp_path / "ct.nii.gz"), "CT")
    segmentation = load_segmentation(scene, path, "Segmentation")
    read = case_from_nodes(ct, segmentation=segmentation, liver_segment="5", tumor_segments=["2"])
    assert np.array_equal(read.liver, case.liver & ~case.tumor)
    assert np.array_equal(read.tumor, case.tumor)
