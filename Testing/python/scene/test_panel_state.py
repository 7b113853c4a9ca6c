"""The panel's choices in the scene, the inputs it recognizes by itself, and its findings about the images."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import nodes_from_case
from REACTKDLib.scene.input_info import input_findings, volume_info
from REACTKDLib.scene.overlay import Overlay
from REACTKDLib.scene.panel_state import PanelState
from REACTKDLib.scene.parameter_node import parameter_nodes
from REACTKDLib.scene.recognize_inputs import recognize_inputs
from REACTKDLib.scene.session import SceneSession
from REACTKDLib.scene.units import write_unit
from REACTKDLib.scene.view_choice import ViewChoice
from support.scene_cases import HandMadeGrader, make_case
from support.scene_files import load_scene, save_scene


def volume(name: str, low: float = 0, unit: Unit = Unit.UNKNOWN, kind: str = "vtkMRMLScalarVolumeNode"):
    array = np.full((4, 5, 6), low, dtype=np.int16)
    array[0, 0, 0] = 90
    node = slicer.util.addVolumeFromArray(array, name=name, nodeClassName=kind)
    write_unit(node, unit)
    return node


def test_a_new_state_has_the_defaults_and_is_no_graded_case(scene):
    assert PanelState.find(scene) is None
    state = PanelState.of(scene)
    assert PanelState.of(scene).node is state.node
    assert not any(state.volumes.values()) and state.segmentation is None
    assert (state.livers, state.tumors, state.live, state.model, state.device) == (None, None, False, None, "auto")
    assert state.view == ViewChoice()
    assert parameter_nodes(scene) == []


def test_choices_are_restored_with_a_saved_scene(scene, nodes, tmp_path):
    state = PanelState.of(scene)
    for modality, node in nodes.volumes.items():
        state.set_volume(modality, node)
    state.set_segmentation(nodes.segmentation)
    state.set_segments(["Liver"], [])
    state.live, state.own_segments, state.model, state.case_id = True, True, "models/mine", "case 3"
    state.set_device("cpu")
    view = ViewChoice(Overlay("contribution", "poor"), 0.8, legend=False, three_d=False, graph=True)
    state.set_view(view)
    save_scene(scene, tmp_path / "scene.mrb")
    scene.Clear(0)
    PanelState.of(scene)  # the module is open, and nothing has been chosen yet
    load_scene(scene, tmp_path / "scene.mrb")
    again = PanelState.of(scene)
    assert {m.value: node.GetName() for m, node in again.volumes.items()} == {
        m.value: n.GetName() for m, n in nodes.volumes.items()
    }
    assert again.segmentation.GetName() == "Segmentation"
    assert (again.livers, again.tumors, again.live, again.own_segments) == (["Liver"], [], True, True)
    assert (again.model, again.device, again.case_id, again.view) == ("models/mine", "cpu", "case 3", view)


def test_another_segmentation_resets_the_chosen_segments(scene, nodes):
    state = PanelState.of(scene)
    state.set_segmentation(nodes.segmentation)
    state.set_segments(["Liver"], ["Tumor"])
    state.set_segmentation(nodes.segmentation)
    assert state.livers == ["Liver"]
    state.set_segmentation(scene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    assert state.livers is None and state.tumors is None


def test_other_images_or_masks_reset_the_case_name(scene, nodes):
    state = PanelState.of(scene)
    for choose in (
        lambda: state.set_volume(Modality.CT, nodes.reference),
        lambda: state.set_segmentation(nodes.segmentation),
        lambda: state.set_volume(Modality.CT, None),
        lambda: state.set_segmentation(None),
    ):
        state.case_id = "case 3"
        choose()
        assert state.case_id is None
        state.case_id = "case 3"
        choose()
        assert state.case_id == "case 3", "the same again"


def test_a_damaged_scene_has_chosen_no_segments(scene):
    state = PanelState.of(scene)
    for text in ("[", '"Liver"', "7", "[1, 2]", "{}"):
        for key in ("LiverSegments", "TumorSegments"):
            state.node.SetParameter(key, text)
        assert state.livers is None and state.tumors is None, text


def test_setting_an_unchanged_value_sends_no_event(scene, nodes):
    state = PanelState.of(scene)
    state.set_volume(Modality.CT, nodes.reference)
    state.live = True
    state.set_view(ViewChoice())
    before = state.node.GetMTime()
    state.set_volume(Modality.CT, nodes.reference)
    state.live = True
    state.set_view(ViewChoice())
    assert state.node.GetMTime() == before


def test_a_case_is_recognized_and_its_results_are_not(scene, nodes):
    found = recognize_inputs(scene)
    assert found.volumes == dict(nodes.volumes) and found.segmentation is nodes.segmentation
    SceneSession(scene, nodes, HandMadeGrader()).grade()
    again = recognize_inputs(scene)
    assert again.volumes == dict(nodes.volumes) and again.segmentation is nodes.segmentation


def test_ambiguous_inputs_are_left_to_the_user(scene):
    volume("CT arterial")
    volume("CT portal venous")
    volume("PET")
    volume("FDG mask", kind="vtkMRMLLabelMapVolumeNode")
    scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    found = recognize_inputs(scene)
    assert found.volumes == {} and found.segmentation is None


def test_units_and_air_values_identify_unnamed_images(scene):
    nameless = volume("7: Abdomen", low=-1024)
    assert recognize_inputs(scene).volumes == {Modality.CT: nameless}
    scene.RemoveNode(nameless)
    by_unit = volume("series", unit=Unit.HU)
    contradiction = volume("CT", unit=Unit.SUVBW)
    assert recognize_inputs(scene).volumes == {Modality.CT: by_unit}
    assert contradiction.GetName() == "CT"


def test_of_several_segmentations_the_one_with_a_liver_is_taken(scene, nodes):
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "vessels")
    other.GetSegmentation().AddEmptySegment("vessels", "hepatic vessels")
    assert recognize_inputs(scene).segmentation is nodes.segmentation


def test_a_volume_is_described_in_one_line(nodes):
    ct = volume_info(nodes.reference, Modality.CT)
    assert ct.size == (80, 72, 44) and ct.spacing == pytest.approx((2.2, 2.3, 3.0))
    assert (ct.unit, ct.stated) == (Unit.HU, True)


def test_an_unstated_unit_is_inferred_and_marked(scene):
    node = volume("FDG")
    slicer.util.updateVolumeFromArray(node, np.random.default_rng(0).gamma(4, 0.5, (20, 20, 20)).astype(np.float32))
    info = volume_info(node, Modality.FDG)
    assert (info.unit, info.stated) == (Unit.SUVBW, False)
    assert volume_info(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"), Modality.CT) is None


def test_contradicting_names_are_reported(scene):
    fdg, acetate = volume("FDG PET"), volume("Acetate PET")
    codes = lambda **chosen: [f.code for f in input_findings({Modality(k): n for k, n in chosen.items()})]  # noqa: E731
    assert codes(fdg=fdg, acetate=acetate) == []
    assert codes(fdg=acetate, acetate=fdg) == ["named-otherwise", "named-otherwise"]
    assert codes(fdg=fdg, acetate=fdg) == ["same-image-twice", "named-otherwise"]
    assert codes(ct=None, fdg=volume("series 4")) == []


def test_messages_hold_no_name_of_a_node(scene):
    acetate = volume("Jane Doe acetate")
    (finding,) = input_findings({Modality.FDG: acetate})
    assert "Jane" not in finding.message


def test_two_cases_in_one_scene_are_not_selected(scene, nodes):
    nodes_from_case(scene, make_case(shape=(20, 30, 30), spacing=(6, 6, 6)))
    found = recognize_inputs(scene)
    assert found.volumes == {} and found.segmentation is None
