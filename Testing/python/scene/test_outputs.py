"""Results are separate nodes, reused when a case is graded again; the user's nodes stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.core.errors import LabelMissing, MaskOffImage, NoLiver, TumorOutsideLiver, UsageError
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import CaseNodes, case_from_nodes, nodes_from_case
from REACTKDLib.scene.colors import effect_color, legend_of
from REACTKDLib.scene.folder import folder_of
from REACTKDLib.scene.outputs import ROLES, outputs_of, remove_outputs
from REACTKDLib.scene.overlay import overlays_for
from REACTKDLib.scene.parameter_node import parameter_nodes, read_choice, read_inputs, read_report
from REACTKDLib.scene.region_table import write_table
from REACTKDLib.scene.segments import SegmentChoice
from REACTKDLib.scene.session import SceneSession, grade_in_scene
from REACTKDLib.scene.view_choice import ViewChoice, show_as
from REACTKDLib.scene.volumes import ijk_to_ras_of
from support.scene_cases import HandMadeGrader, make_case, make_result, with_measures
from support.small_models import small_bundle
from support.worlds import linear_transform, rigid


def _grade(scene, nodes, grader=None, **options):
    roles = {modality.value: node for modality, node in nodes.volumes.items()}
    return grade_in_scene(scene, **roles, segmentation=nodes.segmentation, grader=grader or HandMadeGrader(), **options)


def _snapshot(node) -> tuple:
    """Everything about an input node that could change: its XML without modification times, and its bytes."""
    content: list = [node.GetName(), node.GetTransformNodeID(), node.GetNumberOfDisplayNodes()]
    if node.IsA("vtkMRMLVolumeNode"):
        content.append(slicer.util.arrayFromVolume(node).tobytes())
        content.append(ijk_to_ras_of(node).tobytes())
        display = node.GetDisplayNode()
        content += [display.GetMTime(), display.GetWindow(), display.GetLevel(), display.GetColorNodeID()]
    else:
        data = node.GetSegmentation()
        names: list[str] = []
        data.GetContainedRepresentationNames(names)
        content += [tuple(names), data.GetMTime()]
        for segment_id in data.GetSegmentIDs():
            segment = data.GetSegment(segment_id)
            image = segment.GetRepresentation("Binary labelmap")
            content += [segment_id, segment.GetName(), segment.GetColor(), segment.GetTerminology()]
            content.append(vtk_to_numpy(image.GetPointData().GetScalars()).tobytes())
        content.append(node.GetDisplayNode().GetMTime())
    return tuple(content)


def test_inputs_stay_byte_equal(scene, nodes):
    inputs = nodes.all()
    before = [_snapshot(node) for node in inputs]
    _grade(scene, nodes)
    _grade(scene, nodes)
    assert [_snapshot(node) for node in inputs] == before


def test_second_grading_reuses_every_node(scene, nodes):
    first = _grade(scene, nodes)
    ids = [first.GetNodeReferenceID(role) for role in ROLES]
    count = scene.GetNumberOfNodes()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = tree.GetNumberOfItems()
    second = _grade(scene, nodes, HandMadeGrader(effects=(0.2, -0.1, 0.0)))
    assert second.GetID() == first.GetID()
    assert [second.GetNodeReferenceID(role) for role in ROLES] == ids
    assert scene.GetNumberOfNodes() == count
    assert tree.GetNumberOfItems() == items


def test_two_cases_have_separate_outputs(scene, nodes):
    other = nodes_from_case(scene, make_case(shape=(30, 40, 44), spacing=(4.0, 4.0, 4.4)))
    first, second = _grade(scene, nodes), _grade(scene, other)
    assert len(parameter_nodes(scene)) == 2
    assert {first.GetNodeReferenceID(r) for r in ROLES}.isdisjoint(second.GetNodeReferenceID(r) for r in ROLES)
    assert folder_of(scene, outputs_of(first).regions) != folder_of(scene, outputs_of(second).regions)


def test_parameter_node_records_inputs_choices_and_report(scene, nodes):
    parameter_node = _grade(scene, nodes, case_id="case 3")
    assert dict(read_inputs(parameter_node).volumes) == dict(nodes.volumes)
    assert read_choice(parameter_node) == SegmentChoice(("Liver",), ("Tumor",))
    report = read_report(parameter_node)
    assert (report.case, report.grade) == ("case 3", "poor")
    assert parameter_node.GetParameter("Model") == "hand-made 1.0"
    assert parameter_node.GetModuleName() == "REACTKD"


def test_an_unreadable_report_counts_as_missing(scene, nodes):
    """Such as one written by a later version or edited by hand: the scene still opens, as if it had not been graded."""
    parameter_node = _grade(scene, nodes)
    later = parameter_node.GetParameter("Report").replace('"centroid_ras_mm"', '"center"')
    for text in ("{", "[]", "{}", '{"schema": "reactkd-grade-report/9"}', later):
        parameter_node.SetParameter("Report", text)
        assert read_report(parameter_node) is None, text
    parameter_node.SetParameter("TumorSegments", "[")
    assert read_choice(parameter_node) is None


def test_regions_are_segments_colored_by_effect(scene, nodes, case):
    effects = (0.05, 0.31, -0.12)
    outputs = outputs_of(_grade(scene, nodes, HandMadeGrader(effects=effects)))
    data = outputs.regions.GetSegmentation()
    assert [data.GetNthSegment(i).GetName() for i in range(4)] == ["Parenchyma", "Lesion 1", "Lesion 2", "Lesion 3"]
    for index, effect in enumerate(effects, start=1):
        assert data.GetNthSegment(index).GetColor() == pytest.approx(effect_color(effect, 0.4))
    saturation = [np.ptp(data.GetNthSegment(i).GetColor()) for i in range(4)]
    assert int(np.argmax(saturation)) == 2
    parts = [
        slicer.util.arrayFromSegmentBinaryLabelmap(outputs.regions, segment_id, nodes.reference) > 0
        for segment_id in data.GetSegmentIDs()
    ]
    assert np.array_equal(sum(part.astype(int) for part in parts), case.liver.astype(int))
    assert np.array_equal(parts[1] | parts[2] | parts[3], case.tumor)
    assert data.ContainsRepresentation("Closed surface")
    display = outputs.regions.GetDisplayNode()
    assert display.GetSegmentOpacity3D("Region_1") < 0.5
    assert all(display.GetSegmentOpacity3D(f"Region_{label}") == 1.0 for label in (2, 3, 4))


def test_color_grows_with_the_size_of_the_effect():
    spread = [np.ptp(effect_color(e, 0.4)) for e in np.linspace(0, 0.4, 9)]
    assert spread[0] == 0 and np.all(np.diff(spread) > 0)
    against = [np.ptp(effect_color(-e, 0.4)) for e in np.linspace(0, 0.4, 9)]
    assert np.all(np.diff(against) > 0)
    assert effect_color(None, 0.4) == effect_color(0.0, 0.4)
    orange, blue = effect_color(0.4, 0.4), effect_color(-0.4, 0.4)
    assert orange[0] > orange[2] and blue[2] > blue[0]


# Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as seen with one cone type missing.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("seen", [np.eye(3), *BLINDNESS.values()], ids=["all colors", *BLINDNESS])
def test_colors_are_distinguishable_near_zero_and_for_the_color_blind(seen):
    from skimage.color import deltaE_ciede2000, rgb2lab

    def lab(points):
        rgb = np.array(effect_color(points / 100, 0.4))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        linear = np.clip(np.array(seen) @ linear, 0, 1)
        return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))

    for points in (1, 2, 5, 10, 20, 40):
        assert deltaE_ciede2000(lab(points), lab(-points)) > 15, points
        assert min(deltaE_ciede2000(lab(sign * points), lab(0)) for sign in (-1, 1)) > 5, points
    for sign in (-1, 1):  # 5, 20 and 40 points are three distinct colors
        assert deltaE_ciede2000(lab(sign * 5), lab(sign * 20)) > 5 < deltaE_ciede2000(lab(sign * 20), lab(sign * 40))


def test_numbers_of_a_legend_are_those_of_its_colors(scene, nodes):
    """A zero has no sign, as in the table."""
    parameter_node = _grade(scene, nodes)
    outputs, report, signed = outputs_of(parameter_node), read_report(parameter_node), 0
    for overlay in overlays_for(report)[:-1]:  # the last is the voxel map
        show_as(outputs, report, ViewChoice(overlay))
        legend, display = legend_of(outputs.scale), outputs.scale.GetDisplayNode()
        numbers = np.linspace(*display.GetScalarRange(), legend.GetNumberOfLabels())
        texts = [legend.GetLabelFormat() % number for number in numbers]
        assert [float(text) for text in texts] == pytest.approx(numbers, abs=0.05 * numbers.max())
        assert not any(text[0] in "+-" and not float(text) for text in texts), texts
        signed += overlay.signed
    assert signed >= 2


def test_heat_map_lies_on_the_reference_and_is_clear_where_zero(scene, nodes):
    shared = linear_transform(scene, rigid((5, 6, 7), (8, 9, 10)))
    for node in nodes.all():
        node.SetAndObserveTransformNodeID(shared.GetID())
    outputs = outputs_of(_grade(scene, nodes))
    heat, ct = outputs.heat_map, nodes.reference
    assert slicer.util.arrayFromVolume(heat).shape == slicer.util.arrayFromVolume(ct).shape
    assert np.array_equal(ijk_to_ras_of(heat), ijk_to_ras_of(ct))
    assert heat.GetTransformNodeID() == outputs.regions.GetTransformNodeID() == shared.GetID()
    display = heat.GetDisplayNode()
    assert display.GetApplyThreshold() and 0 < display.GetLowerThreshold() < 0.2
    assert display.GetColorNodeID() == outputs.heat_colors.GetID()
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(heat)
    assert legend is not None and legend.GetVisibility()


def test_table_is_the_report(scene, nodes):
    parameter_node = _grade(scene, nodes)
    table, report = outputs_of(parameter_node).table, read_report(parameter_node)
    columns = [table.GetTable().GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    assert columns == [
        "region",
        "kind",
        "volume",
        "weight",
        "contribution well",
        "contribution moderate",
        "contribution poor",
        "share",
        "share by grade well",
        "share by grade moderate",
        "share by grade poor",
        "share error",
        "deletion effect",
        "low resolution",
    ]
    assert table.GetColumnUnitLabel("volume") == "ml"
    assert table.GetNumberOfRows() == len(report.regions)
    for name in ("deletion effect", "share"):
        numbers = slicer.util.arrayFromTableColumn(table, name)
        assert numbers == pytest.approx([row.value(name.replace(" ", "_")) for row in report.regions], abs=1e-6)
    assert np.isnan(slicer.util.arrayFromTableColumn(table, "share error")).all(), "these are exact"
    volumes = slicer.util.arrayFromTableColumn(table, "volume")
    assert np.isnan(volumes[-1])
    assert volumes[:-1] == pytest.approx([row.volume_ml for row in report.regions[:-1]], rel=1e-5)


def test_table_holds_the_measures(scene, case):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    report = with_measures(make_result(case).report)
    write_table(table, report)
    for name, unit, expected in (
        ("longest axial diameter mm", "mm", 34.2),
        ("fdg suv max", "g/ml", 7.1),
        ("fdg to liver", "", 1.42),
    ):
        values = slicer.util.arrayFromTableColumn(table, name)
        assert values[1] == pytest.approx(expected) and np.isnan(values[[0, 2, -1]]).all()
        assert table.GetColumnUnitLabel(name) == unit and table.GetColumnDescription(name)
    write_table(table, make_result(case).report)
    assert table.GetTable().GetColumnByName("fdg suv max") is None


def test_without_a_lesion_no_grade_is_claimed(scene, nodes, real_grader):
    _grade(scene, nodes)
    parameter_node = _grade(scene, nodes, real_grader, tumor_segments=[])
    outputs = outputs_of(parameter_node)
    report = read_report(parameter_node)
    assert report.grade is None
    assert [finding.code for finding in report.findings].count("no-lesion") == 1
    assert outputs.regions.GetSegmentation().GetNumberOfSegments() == 1
    assert not slicer.util.arrayFromVolume(outputs.heat_map).any()
    assert not slicer.modules.colors.logic().GetColorLegendDisplayNode(outputs.scale).GetVisibility()
    assert outputs.table.GetTable().GetColumnByName("contribution well") is None


def test_remove_outputs_leaves_the_inputs(scene, nodes):
    before = scene.GetNumberOfNodes()
    parameter_node = _grade(scene, nodes)
    remove_outputs(scene, parameter_node)
    assert outputs_of(parameter_node) is None and read_report(parameter_node) is None
    assert read_inputs(parameter_node).segmentation is nodes.segmentation
    leftovers = scene.GetNumberOfNodes() - before - 1  # the parameter node
    assert leftovers <= 1  # the subject hierarchy


@pytest.mark.parametrize("fault", ["no such segment", "empty liver", "tumor elsewhere", "far away"])
def test_a_failed_grading_leaves_the_scene_as_it_was(scene, nodes, case, fault):
    segmentation, options = nodes.segmentation, {}
    if fault == "no such segment":
        error, options = LabelMissing, {"liver_segment": "Leber"}
    elif fault == "empty liver":
        error = NoLiver
        _redraw(segmentation, "Liver", np.zeros_like(case.liver), nodes.reference)
    elif fault == "tumor elsewhere":
        error = TumorOutsideLiver
        corner = np.zeros_like(case.tumor)
        corner[:3, :3, :3] = True
        _redraw(segmentation, "Tumor", corner, nodes.reference)
    else:
        error = MaskOffImage
        segmentation.SetAndObserveTransformNodeID(linear_transform(scene, rigid((0, 0, 0), (900, 0, 0))).GetID())
    ids = _ids(scene)
    with pytest.raises(error):
        _grade(scene, nodes, **options)
    assert _ids(scene) == ids


def _ids(scene) -> list[str]:
    return [scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())]


def _redraw(segmentation, segment_id, mask, reference):
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment_id, reference)


@pytest.fixture(scope="module")
def real_grader():
    """The real grader with random weights."""
    return Grader(small_bundle(), device="cpu")


def test_real_grader_and_mask_edit_without_encoding(scene, nodes, case, real_grader):
    """Regrading after a mask edit in the scene equals a fresh run, without calling the encoder."""
    session = SceneSession(scene, nodes, real_grader)
    session.grade()
    calls = real_grader.bundle.student.encoder_calls
    smaller = case.tumor.copy()
    smaller[:, :, : smaller.shape[2] // 2] = False
    assert 0 < smaller.sum() < case.tumor.sum()
    _redraw(nodes.segmentation, "Tumor", smaller, nodes.reference)
    edited = session.grade().report
    assert real_grader.bundle.student.encoder_calls == calls
    fresh = read_report(_grade(scene, nodes, real_grader))
    assert [r.name for r in edited.regions] == [r.name for r in fresh.regions]
    for name, value in fresh.logits.items():
        assert edited.logits[name] == pytest.approx(value, abs=1e-5)
    assert [f.code for f in edited.findings] == [f.code for f in fresh.findings]


def test_the_scene_gives_the_result_of_core_under_a_shared_transform(scene, nodes, case, real_grader):
    from REACTKDLib.core.masks.checks import checked

    expected = real_grader.open(checked(case)).grade().report.logits
    shared = linear_transform(scene, rigid((15, -25, 35), (40, 30, -80)))
    for node in nodes.all():
        node.SetAndObserveTransformNodeID(shared.GetID())
    # The report in the scene is JSON with eight decimals.
    assert read_report(_grade(scene, nodes, real_grader)).logits == pytest.approx(expected, rel=0, abs=1e-7)


@pytest.mark.parametrize("role", [Modality.FDG, Modality.ACETATE])
def test_a_transform_of_the_pet_changes_the_result_like_its_matrix(scene, nodes, case, real_grader, role):
    """A PET under its own linear transform is equivalent to a PET whose matrix was moved."""
    moved = rigid((0, 0, 10), (6, -4, 5))
    nodes.volumes[role].SetAndObserveTransformNodeID(linear_transform(scene, moved).GetID())
    read = case_from_nodes(**{m.value: n for m, n in nodes.volumes.items()}, segmentation=nodes.segmentation)
    assert np.allclose(read.volumes[role].ijk_to_ras, moved @ case.volumes[role].ijk_to_ras, atol=1e-9)
    by_transform = real_grader.open(read).grade().report.logits
    still = real_grader.open(case).grade().report.logits
    assert by_transform != pytest.approx(still, abs=1e-6)


@pytest.mark.parametrize("chosen", ["heat map as FDG", "regions as masks"])
def test_a_result_is_refused_as_an_input(scene, nodes, chosen):
    """A heat map of the answer would be graded as a PET, and the regions would be overwritten by their own answer."""
    outputs = outputs_of(_grade(scene, nodes))
    volumes, masks = dict(nodes.volumes), nodes.segmentation
    if chosen == "heat map as FDG":
        volumes[Modality.FDG] = outputs.heat_map
    else:
        masks = outputs.regions
    before, regions = _ids(scene), outputs.regions.GetSegmentation().GetMTime()
    with pytest.raises(UsageError, match="is a result of this module; choose"):
        _grade(scene, CaseNodes(volumes, masks))
    assert _ids(scene) == before and outputs.regions.GetSegmentation().GetMTime() == regions
