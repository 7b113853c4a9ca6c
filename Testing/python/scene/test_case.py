"""Nodes to a Case and back: exact, for every axis order; invalid input is refused in one sentence."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import slicer

from REACTKDLib.core.errors import EmptySegmentation, NotHounsfield, NotPet, NotThreeDimensional, NoVolume, SkewedAxes
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import to_ras_order
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.folder import ScratchFolder
from REACTKDLib.core.worker.reading import case_from_files
from REACTKDLib.scene.case import case_from_nodes, nodes_from_case
from REACTKDLib.scene.hand_over import hand_over_case
from REACTKDLib.scene.segments import choose_segments
from support.scene_cases import make_case
from support.worlds import linear_transform, rigid


def _read(nodes, **options) -> Case:
    roles = {modality.value: node for modality, node in nodes.volumes.items()}
    return case_from_nodes(**roles, segmentation=nodes.segmentation, **options)


def _assert_same(one: Case, other: Case) -> None:
    assert one.modalities == other.modalities
    for modality in one.modalities:
        a, b = one.volumes[modality], other.volumes[modality]
        assert a.array.dtype == b.array.dtype
        assert np.array_equal(a.array, b.array)
        assert np.allclose(a.ijk_to_ras, b.ijk_to_ras, rtol=0, atol=1e-9)
        assert a.unit == b.unit
    assert np.array_equal(one.liver, other.liver)
    assert np.array_equal(one.tumor, other.tumor)


def test_case_to_nodes_to_case_is_exact(nodes, case):
    _assert_same(_read(nodes), case)


def test_nodes_to_case_to_nodes_is_exact(scene, nodes):
    again = nodes_from_case(scene, _read(nodes))
    _assert_same(_read(again), _read(nodes))


@pytest.mark.parametrize(
    "present",
    [subset for n in (1, 2, 3) for subset in itertools.combinations(Modality, n)],
    ids=lambda subset: "+".join(m.value for m in subset),
)
def test_any_subset_of_inputs_is_read(scene, case, present):
    """Without a CT, the masks lie on the grid of the first PET."""
    volumes = {m: case.volumes[m] for m in present}
    shape = next(iter(volumes.values())).shape
    masks = (case.liver, case.tumor) if Modality.CT in present else (np.ones(shape, bool), np.ones(shape, bool))
    subset = Case("subset", volumes, *masks)
    _assert_same(_read(nodes_from_case(scene, subset)), subset)


ORDERS = [(p, f) for p in itertools.permutations(range(3)) for f in itertools.product((False, True), repeat=3)]


def _reordered(volume: Volume, permutation: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """The same image with its axes permuted and flipped in storage."""
    array = volume.array.transpose(permutation)
    columns = [volume.ijk_to_ras[:3, 2 - axis] for axis in permutation]  # of the array axes, in their new order
    origin = volume.ijk_to_ras[:3, 3].copy()
    for new, flip in enumerate(flips):
        if flip:
            array = np.flip(array, new)
            origin += columns[new] * (array.shape[new] - 1)
            columns[new] = -columns[new]
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(columns[::-1], axis=1)
    matrix[:3, 3] = origin
    return Volume(np.ascontiguousarray(array), matrix, volume.unit, volume.name)


@pytest.mark.parametrize(("permutation", "flips"), ORDERS)
def test_all_48_axis_orders_under_a_shared_transform_give_the_same_case(scene, permutation, flips):
    """However the images are stored, the case read from the scene has the same voxels at the same positions."""
    case = make_case(shape=(14, 18, 22), spacing=(6.5, 7.0, 8.0))
    reference = case.reference

    def moved(array):
        return _reordered(Volume(array, reference.ijk_to_ras), permutation, flips).array

    volumes = {m: _reordered(v, permutation, flips) for m, v in case.volumes.items()}
    stored = nodes_from_case(scene, Case("stored", volumes, moved(case.liver), moved(case.tumor)))
    shared = linear_transform(scene, rigid((15, -25, 35), (40, 30, -80)))
    for node in stored.all():
        node.SetAndObserveTransformNodeID(shared.GetID())

    read = _read(stored)

    for modality, original in case.volumes.items():
        a, a_matrix = to_ras_order(read.volumes[modality].array, read.volumes[modality].ijk_to_ras)
        b, b_matrix = to_ras_order(original.array, original.ijk_to_ras)
        assert np.array_equal(a, b)
        assert np.allclose(a_matrix, b_matrix, rtol=0, atol=1e-9)
    for name in ("liver", "tumor"):
        a, _ = to_ras_order(getattr(read, name), read.reference.ijk_to_ras)
        b, _ = to_ras_order(getattr(case, name), reference.ijk_to_ras)
        assert np.array_equal(a, b)


def test_units_come_from_the_nodes_or_from_the_values(scene, nodes, case):
    assert [v.unit for v in _read(nodes).volumes.values()] == [Unit.HU, Unit.SUVBW, Unit.SUVBW]
    becquerel = nodes_from_case(
        scene,
        Case(
            "bq",
            {
                Modality.CT: case.reference,
                Modality.FDG: case.volumes[Modality.FDG].with_array(
                    case.volumes[Modality.FDG].array * 5000, unit=Unit.UNKNOWN
                ),
            },
            case.liver,
            case.tumor,
        ),
    )
    assert _read(becquerel).volumes[Modality.FDG].unit is Unit.BQML


@pytest.mark.parametrize("lean", [0.0, 5e-4, 0.02])
def test_skewed_axes_are_refused_in_the_scene_as_in_files(scene, case, tmp_path, lean):
    """Non-orthogonal axes are refused both in the console and in the worker to which the panel hands the nodes."""

    def leaning(volume):
        matrix = volume.ijk_to_ras.copy()
        matrix[:3, 2] += lean * np.linalg.norm(matrix[:3, 2]) * matrix[:3, 0] / np.linalg.norm(matrix[:3, 0])
        return replace(volume, ijk_to_ras=matrix)

    volumes = {Modality.CT: leaning(case.volumes[Modality.CT])}
    nodes = nodes_from_case(scene, replace(case, volumes=volumes))
    scratch = ScratchFolder(tmp_path)
    steps = hand_over_case(nodes, choose_segments(nodes.segmentation), scratch)
    with pytest.raises(StopIteration) as done:
        while True:
            next(steps)
    images, masks = done.value.value
    for read in (lambda: _read(nodes), lambda: case_from_files(scratch.path, images, masks, "a")):
        if lean < 1e-3:
            assert read().tumor.any()
        else:
            with pytest.raises(SkewedAxes, match="axes of the CT are not perpendicular"):
                read()


def test_case_id_is_not_the_name_of_a_node(nodes):
    for node in nodes.all():
        node.SetName("DOE^JANE 1950")
    case = _read(nodes)
    assert "DOE" not in case.id
    assert not any("DOE" in volume.name for volume in case.volumes.values())
    assert _read(nodes, case_id="case 7").id == "case 7"


def test_a_ct_under_a_nonlinear_transform_is_reported(scene, nodes):
    from support.worlds import bending_transform

    assert not _read(nodes).findings
    nodes.reference.SetAndObserveTransformNodeID(bending_transform(scene).GetID())
    assert [f.code for f in _read(nodes).findings] == ["non-linear-transform"]


def test_faults_have_their_own_errors_without_node_names(scene, nodes):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "DOE^JANE")
    color = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "DOE^JANE")
    slicer.util.updateVolumeFromArray(color, np.zeros((4, 5, 6, 3), np.uint8))
    seg = nodes.segmentation
    ct, fdg = nodes.volumes[Modality.CT], nodes.volumes[Modality.FDG]
    faults = [
        (NoVolume, {"segmentation": seg}),
        (NoVolume, {"ct": empty, "segmentation": seg}),
        (NotThreeDimensional, {"ct": color, "segmentation": seg}),
        (EmptySegmentation, {"ct": ct, "segmentation": None}),
        (EmptySegmentation, {"ct": ct, "segmentation": scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "DOE")}),
        (NotHounsfield, {"ct": _scaled(fdg), "segmentation": seg}),
        (NotPet, {"ct": ct, "fdg": ct, "segmentation": seg}),
    ]
    count = scene.GetNumberOfNodes()
    for error, arguments in faults:
        with pytest.raises(error) as caught:
            case_from_nodes(**arguments)
        assert "DOE" not in str(caught.value)
        assert str(caught.value)[0].isupper() and str(caught.value).endswith(".")
    assert scene.GetNumberOfNodes() == count


def _scaled(node):
    """A PET offered as CT, scaled to a maximum of 1 as for a network."""
    array = slicer.util.arrayFromVolume(node)
    return slicer.util.addVolumeFromArray((array / array.max()).astype(np.float32), name="DOE^JANE")
