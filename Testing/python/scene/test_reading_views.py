"""The module's own views on the real MRML: what they show, and that the user's nodes stay unchanged."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.panel_state import PanelState
from REACTKDLib.scene.pet_colors import pet_table
from REACTKDLib.scene.reading_layout import ONE, TWO_ROWS, is_own, leave_layout, register_layouts, show_layout
from REACTKDLib.scene.reading_view import ReadingView, layers_of, offered_images, pet_of
from REACTKDLib.scene.recognize_inputs import recognize_inputs
from REACTKDLib.scene.units import write_unit
from REACTKDLib.scene.view_images import ViewImages
from REACTKDLib.scene.windows import AUTOMATIC, pet_windows, window_of
from support.worlds import linear_transform, rigid

CT, FDG, ACETATE = Modality


@pytest.mark.parametrize(
    ("available", "offered", "first"),
    [
        ((CT,), ("ct",), "ct"),
        ((FDG,), ("fdg",), "fdg"),
        ((CT, FDG), ("ct", "fdg", "ct+fdg", "rows"), "ct+fdg"),
        ((CT, ACETATE), ("ct", "acetate", "ct+acetate", "rows"), "ct+acetate"),
        ((FDG, ACETATE), ("fdg", "acetate", "rows"), "fdg"),
        ((CT, FDG, ACETATE), ("ct", "fdg", "acetate", "ct+fdg", "ct+acetate", "rows"), "ct+fdg"),
        ((), (), ""),
    ],
)
def test_the_views_offer_the_images_of_the_case(available, offered, first):
    assert offered_images(available) == offered
    assert ReadingView().shown(available) == first
    assert all(ReadingView(images=images).shown(available) == images for images in offered)
    assert ReadingView(images="ct+acetate").shown(available) == ("ct+acetate" if "ct+acetate" in offered else first)


def test_rows_and_layers_follow_the_chosen_images():
    assert layers_of("rows", (CT, ACETATE)) == ((CT, None), (ACETATE, None))
    assert layers_of("ct+fdg", (CT, FDG)) == ((CT, FDG),)
    assert layers_of("", ()) == ()
    assert [pet_of(images, tuple(Modality)) for images in ("ct", "acetate", "ct+fdg", "rows")] == [
        None,
        ACETATE,
        FDG,
        FDG,
    ]


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"images": 5, "opacity": 7.0, "colour": "x"}'])
def test_unknown_values_of_the_state_give_the_default(scene, text):
    state = PanelState.of(scene)
    state.node.SetParameter("ReadingView", text)
    assert state.reading_view == ReadingView()
    state.set_reading_view(ReadingView(on=False, images="rows", opacity=0.25, alone_table="hot", projection=True))
    assert PanelState.of(scene).reading_view == ReadingView(
        on=False, images="rows", opacity=0.25, alone_table="hot", projection=True
    )


def test_each_image_has_its_windows(scene, nodes):
    fdg = nodes.volumes[FDG]
    assert window_of(CT, "liver", nodes.volumes[CT], Unit.HU) == (-60, 200)
    assert window_of(CT, "nonsense", nodes.volumes[CT], Unit.HU) == (-60, 200)
    assert window_of(FDG, AUTOMATIC, fdg, Unit.SUVBW) == (0, 7) and window_of(ACETATE, "auto", fdg, Unit.SUVBW) == (
        0,
        10,
    )
    assert window_of(FDG, "suv15", fdg, Unit.SUVBW) == (0, 15)
    values = slicer.util.arrayFromVolume(fdg)
    low, high = window_of(FDG, "suv15", fdg, Unit.BQML)
    assert low == 0 and high == pytest.approx(np.percentile(values, 99.5), rel=0.05), "no SUV window without SUV"
    assert [window.key for window in pet_windows(Unit.BQML)] == [AUTOMATIC]
    assert len(pet_windows(Unit.SUVBW)) == 5


def test_copies_share_voxels_and_follow_their_image(scene, nodes):
    source = nodes.volumes[CT]
    write_unit(source, Unit.HU)
    before = source.GetMTime(), source.GetDisplayNode().GetMTime() if source.GetDisplayNode() else None
    count = scene.GetNumberOfNodes()
    images = ViewImages(scene)
    images.show(nodes.volumes)
    node = images.node(CT)
    assert node is not source and node.GetImageData() is source.GetImageData() and node.GetName() == "CT"
    node.GetDisplayNode().SetWindowLevelMinMax(-7, 7)
    after = source.GetMTime(), source.GetDisplayNode().GetMTime() if source.GetDisplayNode() else None
    assert after == before
    assert recognize_inputs(scene).volumes.get(CT) in (None, source), "no input for a case"

    moved = linear_transform(scene, rigid((10, 0, 5), (3, 4, 5)))
    source.SetAndObserveTransformNodeID(moved.GetID())
    assert node.GetTransformNodeID() == moved.GetID()
    slicer.util.updateVolumeFromArray(source, np.zeros((3, 4, 5), np.int16))
    assert node.GetImageData() is source.GetImageData()
    images.show({FDG: nodes.volumes[FDG]})
    assert images.node(CT) is None and scene.IsNodePresent(node) and node.GetImageData() is None, "no voxels are held"
    images.release()
    images.release()
    scene.RemoveNode(moved)
    assert scene.GetNumberOfNodes() == count and not scene.IsNodePresent(node)


def test_a_color_image_is_left_out(scene):
    volume = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colors")
    slicer.util.updateVolumeFromArray(volume, np.zeros((3, 4, 5, 3), np.uint8))
    images = ViewImages(scene)
    images.show({CT: volume, FDG: None})
    assert images.node(CT) is None and images.node(FDG) is None
    images.release()


def test_tables_are_clear_only_over_a_ct(scene):
    for kind, ends in (("gray", ((1, 1, 1), (0, 0, 0))), ("hot", ((0, 0, 0), (1, 1, 1)))):
        for fused in (False, True):
            table = pet_table(scene, kind, fused)
            assert pet_table(scene, kind, fused) is table
            colors = vtk_to_numpy(table.GetLookupTable().GetTable()) / 255
            assert np.allclose(colors[[0, -1], :3], ends)
            assert np.all(np.diff(colors[:, 3]) >= 0) and colors[-1, 3] == 1 and colors[0, 3] == (0 if fused else 1)


def test_without_views_there_is_no_layout(scene):
    assert register_layouts(scene) is None and not show_layout(scene, 1)
    leave_layout(scene)


def test_the_layout_is_restored_unless_the_user_chose_another(scene):
    node = slicer.vtkMRMLLayoutNode()
    scene.AddNode(node)
    for number in (2, 3):
        node.AddLayoutDescription(number, '<layout type="vertical"/>')
    node.SetViewArrangement(3)
    assert show_layout(scene, 1) and node.GetViewArrangement() == ONE and is_own(node)
    assert not show_layout(scene, 1), "it is on show"
    assert show_layout(scene, 2) and node.GetViewArrangement() == TWO_ROWS
    leave_layout(scene)
    leave_layout(scene)
    assert node.GetViewArrangement() == 3 and not is_own(node)
    show_layout(scene, 1)
    node.SetViewArrangement(2)
    leave_layout(scene)
    assert node.GetViewArrangement() == 2
    scene.RemoveNode(node)
