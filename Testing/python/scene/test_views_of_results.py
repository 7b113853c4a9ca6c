"""How an answer is displayed: color scales, the graph in 3D, surfaces, jumps, and layers that are shown and hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.scene.color_scale import write_scale
from REACTKDLib.scene.colors import effect_color, legend_of
from REACTKDLib.scene.heat_map import set_foreground
from REACTKDLib.scene.jump import jump_to
from REACTKDLib.scene.outputs import output_steps, outputs_of, place_legends, remove_outputs
from REACTKDLib.scene.overlay import Overlay, overlays_for
from REACTKDLib.scene.parameter_node import find_parameter_node, parameter_node_for, read_report
from REACTKDLib.scene.pet_outlines import outline_on_pet
from REACTKDLib.scene.region_graph import edges_shown
from REACTKDLib.scene.session import SceneSession
from REACTKDLib.scene.shown_views import LEGEND_SIZE
from REACTKDLib.scene.surfaces import surface_of
from REACTKDLib.scene.view_choice import ViewChoice, show_as
from support.scene_cases import LESIONS, HandMadeGrader, make_case, make_result
from support.worlds import linear_transform, rigid


@pytest.fixture
def graded(scene, nodes):
    """(outputs, report) of the hand-made case."""
    session = SceneSession(scene, nodes, HandMadeGrader(effects=(0.05, 0.31, -0.12)))
    session.grade()
    return outputs_of(session.parameter_node), read_report(session.parameter_node)


def colors(outputs) -> list[tuple[float, ...]]:
    data = outputs.regions.GetSegmentation()
    return [data.GetSegment(segment_id).GetColor() for segment_id in data.GetSegmentIDs()]


def test_every_overlay_is_restored_from_its_key(graded):
    _, report = graded
    choices = overlays_for(report)
    assert [choice.kind for choice in choices] == ["share", "effect", "weight", *["contribution"] * 3, "voxels"]
    assert [Overlay.from_key(choice.key) for choice in choices] == list(choices)
    assert len({choice.key for choice in choices}) == len(choices)


@pytest.mark.parametrize("key", ["", "nonsense", "contribution", "share:poor", "contribution:", "share_error"])
def test_an_unknown_key_gives_the_default_overlay(key):
    assert Overlay.from_key(key) == Overlay("share")


def test_colors_follow_the_choice(graded):
    outputs, report = graded
    shown = {}
    for overlay in overlays_for(report):
        show_as(outputs, report, ViewChoice(overlay))
        limit = overlay.limit(report)
        expected = [overlay.color(overlay.value_of(row), limit) for row in report.regions[:-1]]
        assert np.allclose(colors(outputs), expected)
        shown[overlay.key] = tuple(map(tuple, np.round(colors(outputs), 3)))
        scale = outputs.scale.GetDisplayNode()
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(outputs.scale)
        if overlay.kind == "voxels":
            assert not legend.GetVisibility()
            continue
        end = 100 * limit if overlay.value.percent else limit
        assert scale.GetScalarRange() == pytest.approx((-end if overlay.signed else 0, end))
        assert legend.GetVisibility() and legend.GetTitleText().startswith("poor 65%\n")
    assert shown["share"] != shown["contribution:well"] != shown["weight"]
    violet = colors_of_weight(outputs, report)
    assert all(color == pytest.approx(violet[0], abs=1e-6) for color in violet)  # equal weights, equal colors


def colors_of_weight(outputs, report) -> list[tuple[float, ...]]:
    show_as(outputs, report, ViewChoice(Overlay("weight")))
    return colors(outputs)[1:]


def test_a_saved_report_is_enough_to_change_the_colors(graded):
    """After a scene is loaded there is only the report, without the grader's result."""
    outputs, report = graded
    show_as(outputs, report.from_dict(report.to_dict()), ViewChoice(Overlay("contribution", "well"), opacity=0.9))
    assert outputs.regions.GetDisplayNode().GetOpacity2DFill() == pytest.approx(0.9)
    assert colors(outputs)[2] == pytest.approx(Overlay("share").color(-0.31, 0.31))


def test_an_old_report_is_colored_by_what_it_holds(graded):
    outputs, report = graded
    data = report.to_dict()
    del data["without_regions"], data["redundant"]
    for row in data["regions"]:
        del row["share"], row["share_by_grade"]
    old = report.from_dict(data)
    assert [choice.kind for choice in overlays_for(old)][0] == "effect"
    show_as(outputs, old, ViewChoice())
    expected = [effect_color(row.deletion_effect, 0.4) for row in report.regions[:-1]]
    assert np.allclose(colors(outputs), expected)
    assert legend_lines(outputs)[1] == "change when left out, percentage points"


def legend_lines(outputs) -> list[str]:
    return slicer.modules.colors.logic().GetColorLegendDisplayNode(outputs.scale).GetTitleText().split("\n")


def test_a_legend_has_room_for_its_letters_in_a_small_slice_view(graded, scene):
    """As in rows for three images: Slicer shrinks the letters until they fit into the legend."""
    outputs, _report = graded
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.SetMappedInLayout(1)
    for pixels in ((158, 247), (313, 247), (90, 110), (1200, 900)):
        view.SetDimensions(*pixels, 1)
        place_legends(outputs)
        for node in (outputs.scale, outputs.heat_map):
            width, height = legend_of(node).GetSize()
            assert width * pixels[0] >= min(34, 0.7 * pixels[0]) - 0.1, pixels
            assert height * pixels[1] >= min(130, 0.7 * pixels[1]) - 0.1, pixels
            assert width <= 0.7 and height <= 0.7
    assert (width, height) == pytest.approx(LEGEND_SIZE), "in a large view"


def test_the_scale_is_the_same_for_every_case_and_the_legend_names_clipped_values(graded):
    outputs, report = graded
    for change, lines in (
        ({}, []),
        ({2: 0.55}, ["colors end at ±40"]),
        ({2: 0.02, 4: -0.35}, ["Topology \u221235"]),
    ):
        rows = [
            replace(row, others={**row.others, "share": change.get(index, row.share)})
            for index, row in enumerate(report.regions)
        ]
        show_as(outputs, replace(report, regions=tuple(rows)), ViewChoice())
        assert outputs.scale.GetDisplayNode().GetScalarRange() == (-40, 40)
        assert legend_lines(outputs)[:2] == ["poor 65%", "share, percentage points"]
        assert legend_lines(outputs)[2:] == lines


def test_outlines_stay_when_the_fill_is_switched_off(graded):
    outputs, report = graded
    show_as(outputs, report, ViewChoice(opacity=0.0))
    display = outputs.regions.GetDisplayNode()
    assert display.GetOpacity2DFill() == 0 and display.GetOpacity2DOutline() == 1


def test_3d_and_graph_can_be_switched(graded):
    outputs, report = graded
    for three_d in (False, True):
        for graph in (True, False):
            show_as(outputs, report, ViewChoice(three_d=three_d, graph=graph))
            assert bool(outputs.regions.GetDisplayNode().GetVisibility3D()) is three_d
            assert bool(outputs.graph_nodes.GetDisplayVisibility()) is graph
            assert bool(outputs.graph_edges.GetDisplayVisibility()) is graph
    solid = outputs.regions.GetDisplayNode().GetSegmentOpacity3D("Region_2")
    show_as(outputs, report, ViewChoice(graph=True))
    assert outputs.regions.GetDisplayNode().GetSegmentOpacity3D("Region_2") < solid, "balls lie inside the lesions"


def test_the_graph_has_a_ball_at_each_centroid_colored_by_its_value(graded):
    outputs, report = graded
    show_as(outputs, report, ViewChoice(graph=True))
    balls = outputs.graph_nodes.GetPolyData()
    region = vtk_to_numpy(balls.GetPointData().GetArray("region"))
    values = vtk_to_numpy(balls.GetPointData().GetArray("value"))
    points = vtk_to_numpy(balls.GetPoints().GetData())
    placed = [row for row in report.regions if row.centroid_ras_mm is not None]
    assert len(placed) == 4 and sorted(set(region)) == [0, 1, 2, 3]
    for index, row in enumerate(placed):
        own = points[region == index]
        assert (own.min(axis=0) + own.max(axis=0)) / 2 == pytest.approx(row.centroid_ras_mm, abs=0.2)
        assert values[region == index] == pytest.approx(row.deletion_effect)


def test_edges_join_centroids_and_are_thicker_for_similar_regions(scene, nodes, case):
    result = make_result(case)
    edges = ((0, 1, 0.2), (0, 2, 0.9), (1, 2, -0.5), (0, 3, 0.5), (1, 3, 0.4), (2, 3, 0.1))
    result.report = replace(result.report, edges=edges)
    assert (1, 2, -0.5) not in edges_shown(result.report)
    parameter_node = parameter_node_for(scene, nodes)
    for _ in output_steps(scene, parameter_node, result, nodes.reference, "case"):
        pass
    rods = outputs_of(parameter_node).graph_edges.GetPolyData()
    similarity = vtk_to_numpy(rods.GetPointData().GetArray("similarity"))
    points = vtk_to_numpy(rods.GetPoints().GetData())
    thickness = {}
    for i, j, value in edges_shown(result.report):
        a, b = (np.array(result.report.regions[n].centroid_ras_mm) for n in (i, j))
        own = points[np.isclose(similarity, value)] - a
        along = own @ (b - a) / np.linalg.norm(b - a)
        assert along.min() == pytest.approx(0, abs=0.01)
        assert along.max() == pytest.approx(np.linalg.norm(b - a), rel=1e-3)
        thickness[value] = np.sqrt((own**2).sum(axis=1) - along**2).max()
    assert sorted(thickness) == sorted(thickness, key=thickness.get)


def test_each_region_draws_no_more_than_its_strongest_edges(case):
    report = make_result(case).report
    rows = report.regions[:1] * 12
    rng = np.random.default_rng(0)
    every = tuple((i, j, float(rng.uniform(0.1, 1))) for i in range(12) for j in range(i + 1, 12))
    shown = edges_shown(replace(report, regions=rows, edges=every))
    assert len(shown) <= 36
    best = max((edge for edge in every if 5 in edge[:2]), key=lambda edge: edge[2])
    assert best in shown


@pytest.mark.parametrize("small", [1e3, 13.0], ids=["every voxel", "thinned"])
def test_surfaces_are_closed_and_hold_the_volume_of_their_region(monkeypatch, small):
    monkeypatch.setattr("REACTKDLib.core.masks.surface.SMALL_MM", small)
    case = make_case(shape=(80, 160, 170), spacing=(0.9, 0.9, 1.5))
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    for region in regions.lesions:
        surface = surface_of(regions, region)
        edges = vtk.vtkFeatureEdges()
        edges.SetInputData(surface)
        edges.FeatureEdgesOff()
        edges.Update()
        assert edges.GetOutput().GetNumberOfCells() == 0
        mass = vtk.vtkMassProperties()
        mass.SetInputData(surface)
        assert mass.GetVolume() / 1000 == pytest.approx(region.volume_ml, rel=0.15)
        center = np.array(surface.GetCenter())
        assert np.linalg.norm(center - region.centroid_ras) < 1.5


def test_a_region_of_one_voxel_has_a_surface(scene):
    tumor = np.zeros((20, 20, 20), bool)
    liver = tumor.copy()
    liver[3:17, 3:17, 3:17] = True
    tumor[10, 10, 10] = True
    regions = RegionSet.from_masks(liver, tumor, np.eye(4))
    assert surface_of(regions, regions.regions[1]).GetNumberOfPoints() > 0


@pytest.fixture
def slice_node(host, scene):
    """A slice node with its logic, as in a slice view."""
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(host.application_logic)
    logic.SetMRMLScene(scene)
    node = logic.AddSliceNode("Red")
    yield node
    logic.SetMRMLScene(None)
    scene.RemoveNode(node)  # a singleton survives closing the scene


def test_a_jump_goes_through_the_transform_of_the_reference(scene, nodes, slice_node):
    matrix = rigid((10, 20, 30), (5, -40, 60))
    nodes.reference.SetAndObserveTransformNodeID(linear_transform(scene, matrix).GetID())
    place = (-40.0, 20.0, 30.0)
    world = (matrix @ np.array([*place, 1.0]))[:3]
    assert jump_to(nodes.reference, place) == pytest.approx(world)
    assert slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())[:3, 3] == pytest.approx(world)


@pytest.fixture
def camera(scene):
    """The camera of a 3D view in the layout, 500 mm in front of the origin."""
    view = scene.AddNewNodeByClass("vtkMRMLViewNode")
    view.SetLayoutName("1")
    view.SetMappedInLayout(1)
    node = scene.AddNewNodeByClass("vtkMRMLCameraNode")
    node.SetLayoutName("1")
    node.SetPosition(0, 500, 0)
    node.SetFocalPoint(0, 0, 0)
    node.SetViewUp(0, 0, 1)
    return node


def shown_at(camera, place: np.ndarray) -> np.ndarray:
    """Where a 3D view shows a place: -1 to 1 from edge to edge, in width and height."""
    matrix = slicer.util.arrayFromVTKMatrix(camera.GetCamera().GetCompositeProjectionTransformMatrix(1, -1, 1))
    x, y, _, w = matrix @ np.array([*place, 1.0])
    assert w > 100, "behind the camera, or too near"
    return np.array([x, y]) / w


@pytest.mark.parametrize("far", [(0, 0, 900), (900, 0, 0), (-700, 300, 400), (0, -900, 0), (0, 900, 0), (0, 900, 60)])
def test_the_liver_stays_in_view_beside_a_place_far_from_it(scene, nodes, camera, far):
    nodes.segmentation.CreateDefaultDisplayNodes()
    assert nodes.segmentation.CreateClosedSurfaceRepresentation(), "without a surface 3D views do not draw it"
    bounds = [0.0] * 6
    nodes.segmentation.GetRASBounds(bounds)
    middle = (np.array(bounds[::2]) + bounds[1::2]) / 2
    camera.SetPosition(0, 60, 0)
    jump_to(nodes.reference, tuple(np.array(bounds[1::2]) - 5))
    near = np.array(camera.GetPosition()) - camera.GetFocalPoint()
    assert near == pytest.approx((0, 60, 0)), "direction and distance are kept beside a place in the liver"
    camera.SetPosition(*(np.array(camera.GetFocalPoint()) + (0, 500, 0)))
    for _ in range(2):  # the second time changes nothing
        jump_to(nodes.reference, tuple(middle + far))
    assert camera.GetFocalPoint() == pytest.approx(middle + far)
    assert np.abs(shown_at(camera, middle)).max() <= 0.85
    way = np.array(camera.GetPosition()) - camera.GetFocalPoint()
    assert way / np.linalg.norm(way) == pytest.approx((0, 1, 0)), "the direction is kept"


def test_masks_that_3d_views_do_not_draw_do_not_keep_the_liver_out_of_view(scene, nodes, camera, graded):
    """Show beside a lesion outside the liver also shows the user's masks, which have no surface."""
    bounds = [0.0] * 6
    graded[0].regions.GetRASBounds(bounds)
    middle = (np.array(bounds[::2]) + bounds[1::2]) / 2
    nodes.segmentation.CreateDefaultDisplayNodes()
    nodes.segmentation.GetDisplayNode().SetVisibility(True)
    matrix = np.eye(4)
    matrix[:3, 3] = far = (0, 0, 900)
    nodes.segmentation.SetAndObserveTransformNodeID(linear_transform(scene, matrix).GetID())
    jump_to(nodes.reference, tuple(middle + far))
    assert camera.GetFocalPoint() == pytest.approx(middle + far)
    assert np.abs(shown_at(camera, middle)).max() <= 0.85


def test_hiding_the_voxel_map_restores_the_previous_layer(host, scene, nodes, graded):
    outputs, report = graded
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    pet = list(nodes.volumes.values())[1]
    composite.SetForegroundVolumeID(pet.GetID())
    composite.SetForegroundOpacity(0.3)
    show_as(outputs, report, ViewChoice(Overlay("voxels"), opacity=0.7))
    assert composite.GetForegroundVolumeID() == outputs.heat_map.GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.7)
    assert outputs.regions.GetDisplayNode().GetOpacity2DFill() == 0, "the map is seen, and the outlines"
    show_as(outputs, report, ViewChoice(Overlay("voxels"), opacity=0.2))
    show_as(outputs, report, ViewChoice(Overlay("effect")))
    assert composite.GetForegroundVolumeID() == pet.GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.3)


def test_removing_the_voxel_map_restores_the_previous_layer(scene, nodes, graded):
    outputs, report = graded
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    ct, pet, *_ = nodes.volumes.values()
    set_foreground(composite, pet, 0.3)
    show_as(outputs, report, ViewChoice(Overlay("voxels")))
    remove_outputs(scene, find_parameter_node(scene, nodes))
    assert composite.GetForegroundVolumeID() == pet.GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.3)
    set_foreground(composite, ct, 0.4)
    assert composite.GetForegroundVolumeID() == ct.GetID()


def test_a_deleted_voxel_map_does_not_affect_later_layers(scene, nodes, graded):
    outputs, report = graded
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    show_as(outputs, report, ViewChoice(Overlay("voxels")))
    scene.RemoveNode(outputs.heat_map)
    pet = list(nodes.volumes.values())[1]
    set_foreground(composite, pet, 0.3)
    assert composite.GetForegroundVolumeID() == pet.GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.3)


def test_another_foreground_layer_is_not_changed(scene, nodes, graded):
    outputs, report = graded
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetForegroundVolumeID(nodes.reference.GetID())
    show_as(outputs, report, ViewChoice(Overlay("weight")))
    assert composite.GetForegroundVolumeID() == nodes.reference.GetID()


def test_without_a_grade_there_is_no_legend_and_one_choice(scene, nodes):
    session = SceneSession(scene, nodes, HandMadeGrader(grade=None))
    session.grade()
    outputs, report = outputs_of(session.parameter_node), read_report(session.parameter_node)
    assert overlays_for(report) == (Overlay(),)
    write_scale(outputs.scale, outputs.effect_colors, report, Overlay())
    assert not slicer.modules.colors.logic().GetColorLegendDisplayNode(outputs.scale).GetVisibility()


def test_writing_in_steps_may_stop_anywhere(scene, nodes, case):
    """The report is written last, so a case that was interrupted half-way counts as one without an answer."""
    parameter_node = parameter_node_for(scene, nodes)
    result = make_result(case)
    steps = output_steps(scene, parameter_node, result, nodes.reference, "case")
    taken = 0
    for _ in steps:
        taken += 1
        assert read_report(parameter_node) is None
    assert taken >= 6
    assert read_report(parameter_node) is not None
    again = output_steps(scene, parameter_node, result, nodes.reference, "case")
    next(again)
    scene.Clear(0)
    again.close()
    assert read_report(parameter_node) is None


def shown_in_slices(parameter_node) -> list[tuple]:
    """Color, fill and outline of each region."""
    regions = parameter_node.GetNodeReference("Regions")
    data, display = regions.GetSegmentation(), regions.GetDisplayNode()
    opacities = display and (display.GetSegmentOpacity2DFill, display.GetSegmentOpacity2DOutline)  # None: still empty
    return [(*data.GetSegment(one).GetColor(), *(of(one) for of in opacities)) for one in data.GetSegmentIDs()]


def test_regions_are_never_shown_in_colors_without_a_meaning(scene, nodes, case):
    """Slicer gives a new segment a color and fills it: between two steps nobody must see that."""
    parameter_node, former = parameter_node_for(scene, nodes), []
    for effects in ((0.05, 0.31, -0.12), (0.4, -0.2, 0.1)):
        result, seen, awaited = make_result(case, effects), [], []
        map_is_ready = (awaited.append(shown_in_slices(parameter_node)) for _ in range(1))
        for _ in output_steps(scene, parameter_node, result, nodes.reference, "case", before_map=map_is_ready):
            if parameter_node.GetNodeReference("Regions") is not None:
                seen.append(shown_in_slices(parameter_node))
        final = shown_in_slices(parameter_node)
        assert len(final) == 4 and final != former
        assert all(shown in (former, final) for shown in seen)
        assert awaited == [final], "the colors must not wait for the voxel map"
        former = final


def graph_in_3d(parameter_node) -> tuple | None:
    """Spheres of the graph with their values, rods, and the scale of their colors; None before they are made."""
    balls, rods = (parameter_node.GetNodeReference(role) for role in ("GraphNodes", "GraphEdges"))
    if balls is None or balls.GetDisplayNode() is None or rods is None or rods.GetDisplayNode() is None:
        return None
    display, surface = balls.GetDisplayNode(), balls.GetPolyData()
    values = vtk_to_numpy(surface.GetPointData().GetArray("value")).tobytes()
    places = [vtk_to_numpy(node.GetPolyData().GetPoints().GetData()).tobytes() for node in (balls, rods)]
    scale = display.GetColorNode().GetName(), display.GetScalarRange(), display.GetScalarVisibility()
    return values, *places, *scale, display.GetVisibility(), rods.GetDisplayNode().GetVisibility()


def test_the_graph_is_never_shown_in_colors_without_a_meaning(scene, nodes, case):
    """Its spheres were written with the value 0, and had the color of 0 until the voxel map was written."""
    parameter_node, former = parameter_node_for(scene, nodes), None
    for effects in ((0.05, 0.31, -0.12), (0.4, -0.2, 0.1)):
        steps = output_steps(
            scene, parameter_node, make_result(case, effects), nodes.reference, "case", lambda: ViewChoice(graph=True)
        )
        seen = [graph_in_3d(parameter_node) for _ in steps]
        final = graph_in_3d(parameter_node)
        assert final not in (None, former) and final[-2:] == (1, 1)
        assert all(shown in (former, final) for shown in seen)
        former = final


def shown_over_pet(regions) -> list[tuple]:
    """Visibility, color and outline of each region in each display over a PET."""
    ids, nodes = regions.GetSegmentation().GetSegmentIDs(), slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    displays = [node.GetDisplayNode() for node in nodes if "over a PET" in node.GetName()]
    return [
        (display.GetVisibility(), *display.GetSegmentColor(one), display.GetSegmentVisibility2DOutline(one))
        for display in displays
        for one in ids
    ]


def test_outlines_over_a_pet_take_the_new_colors_with_the_voxels(scene, nodes, case):
    """The parenchyma would draw a second ring around each lesion until the end of the writing."""
    parameter_node = parameter_node_for(scene, nodes)
    for _ in output_steps(scene, parameter_node, make_result(case), nodes.reference, "case"):
        pass
    regions, view = outputs_of(parameter_node).regions, scene.AddNewNodeByClass("vtkMRMLSliceNode")
    for on_white, effects in ((True, (0.4, -0.2, 0.1)), (False, (0.05, 0.31, -0.12))):
        for _ in outline_on_pet(regions, [view], on_white):
            pass
        former = shown_over_pet(regions)
        steps = output_steps(scene, parameter_node, make_result(case, effects), nodes.reference, "case")
        seen = [shown_over_pet(regions) for _ in steps]
        final = shown_over_pet(regions)
        assert len(final) == 8 and final != former and all(shown in (former, final) for shown in seen)
        for _ in outline_on_pet(regions, [view], on_white):
            pass
        assert shown_over_pet(regions) == final, "the panel changes nothing afterwards"


@pytest.mark.parametrize("on_white", [True, False], ids=["gray", "hot"])
def test_outlines_over_a_pet_replace_the_regions_in_one_step(scene, graded, on_white):
    """While their nodes were made one by one, black edges stood alone in the view, and before them nothing."""
    regions, view = graded[0].regions, scene.AddNewNodeByClass("vtkMRMLSliceNode")
    main = regions.GetDisplayNode()

    def drawn() -> tuple[bool, int]:
        """Whether the regions are drawn as everywhere, and how many outlines there are."""
        twins = [
            node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if "over a PET" in node.GetName()
        ]
        return bool(main.GetVisibility(view.GetID())), sum(twin.GetDisplayNode().GetVisibility() for twin in twins)

    seen = []
    for _ in outline_on_pet(regions, [view], on_white):
        show_as(*graded, ViewChoice(Overlay("weight")))  # the user may choose this meanwhile
        seen.append(drawn())
    assert seen == [(True, 0)] * 2
    assert drawn() == (False, 1 if on_white else 2)


@pytest.mark.parametrize("lesions", [3, 2], ids=["the same lesions", "one lesion less"])
def test_surfaces_stay_until_the_next_ones_are_drawn_unless_lesions_are_renumbered(scene, nodes, case, lesions):
    parameter_node = parameter_node_for(scene, nodes)
    for _ in output_steps(scene, parameter_node, make_result(case), nodes.reference, "case"):
        pass
    data = outputs_of(parameter_node).regions.GetSegmentation()

    def points():
        surfaces = (data.GetSegment(one).GetRepresentation("Closed surface") for one in data.GetSegmentIDs())
        return [surface.GetNumberOfPoints() for surface in surfaces]

    former, drawn, waiting, in_time = points(), [], [], []
    assert min(former) > 50
    edited = make_case(lesions={center: radius + 1.5 for center, radius in list(LESIONS.items())[:lesions]})
    next_one = make_result(edited, (0.1, 0.2, 0.3)[:lesions])
    at_surfaces = (waiting.append(points()) for _ in range(1))
    display = outputs_of(parameter_node).regions.GetDisplayNode()
    tag = display.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: drawn.append(points()))
    at_map = (in_time.append(points() == drawn[-1]) for _ in range(1))
    both = {"before_surfaces": at_surfaces, "before_map": at_map}
    for _ in output_steps(scene, parameter_node, next_one, nodes.reference, "case", **both):
        pass
    display.RemoveObserver(tag)
    assert waiting == [former if lesions == 3 else [former[0]] + [0] * lesions], "the parenchyma is never renumbered"
    assert len(points()) == lesions + 1 and min(points()) > 50 and points() != former
    assert in_time == [True], "3D views take another surface when the display is modified"


def test_color_tables_are_filled_once_and_repaired_after_a_change(scene):
    from REACTKDLib.scene.colors import fill_effect_table

    table = scene.AddNewNodeByClass("vtkMRMLColorTableNode")
    told = []
    table.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: told.append(1))
    fill_effect_table(table)
    assert 1 <= len(told) < 5, "the views must be updated once"
    told.clear()
    fill_effect_table(table)
    assert told == []
    table.SetColor(255, 0, 1, 0, 1)
    fill_effect_table(table)
    color = [0.0] * 4
    table.GetColor(255, color)
    assert color[:3] == pytest.approx((1.0, 0.36, 0.0), abs=1e-2)
