"""A PET or a mask is placed correctly in the frame of the CT, under any parent transforms on either side."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from REACTKDLib.core.images.grid import Grid
from REACTKDLib.scene.frames import relation_between
from REACTKDLib.scene.segments import mask_on
from REACTKDLib.scene.volumes import volume_from_node, volume_in_frame_of
from support.grids import centers_ras, voxel_ras
from support.scene_cases import oblique
from support.worlds import bending_transform, coordinate_volumes, linear_transform, rigid, to_world

CT_SHAPE, CT_SPACING = (30, 44, 50), (3.0, 3.1, 4.0)
PET_SHAPE, PET_SPACING = (20, 26, 28), (4.1, 4.3, 5.0)
# Rotated, and shifted by 40 mm so that it lies partly outside the CT and leaves part of the CT without PET.
PET_MATRIX = rigid((8, -5, 25), (40, -12, 9)) @ oblique(PET_SPACING, PET_SHAPE, degrees=-7)


def _chains(scene):
    """Parent transforms of (CT, PET), nearest first."""
    shared = linear_transform(scene, rigid((4, 9, -12), (10, -20, 30)))
    of_ct = linear_transform(scene, rigid((-6, 3, 15), (5, 6, -7)), shared)
    of_pet = linear_transform(scene, rigid((11, 0, -9), (-14, 3, 8)), shared)
    bend = bending_transform(scene, 6.0)
    pet_on_bend = linear_transform(scene, rigid((0, 5, 7), (3, -3, 4)), bend)
    return {
        "no transform": ([], []),
        "the same for both": ([shared], [shared]),
        "CT only": ([shared], []),
        "PET only": ([], [shared]),
        "different, below a shared one": ([of_ct, shared], [of_pet, shared]),
        "PET bent": ([], [bend]),
        "PET turned, then bent": ([shared], [pet_on_bend, bend]),
        "CT bent": ([bend], []),
        "both bent": ([bend], [bend]),
    }


CHAINS = (
    "no transform",
    "the same for both",
    "CT only",
    "PET only",
    "different, below a shared one",
    "PET bent",
    "PET turned, then bent",
    "CT bent",
    "both bent",
)


@pytest.mark.parametrize("name", CHAINS)
def test_a_pet_keeps_its_world_position(scene, name):
    ct_parents, pet_parents = _chains(scene)[name]
    ct_matrix = oblique(CT_SPACING, CT_SHAPE)
    ct = slicer.util.addVolumeFromArray(np.zeros(CT_SHAPE, np.int16), ijkToRAS=ct_matrix, name="CT")
    ct.SetAndObserveTransformNodeID(ct_parents[0].GetID() if ct_parents else None)
    pets = coordinate_volumes(PET_SHAPE, PET_MATRIX, pet_parents)

    placed = [volume_in_frame_of(pet, ct) for pet in pets]

    error, checked = _errors_mm(placed, ct_parents)
    assert checked > 500
    assert error.max() < 0.5 * min(PET_SPACING), f"{error.max():.3f} mm"
    if all(t.IsLinear() for t in (*ct_parents, *pet_parents)):
        assert error.max() < 1e-3, f"{error.max():.6f} mm"  # no voxel was resampled


def _errors_mm(placed, ct_parents):
    """Compare the world coordinates stored in the voxels with where they were placed, at voxels inside the PET."""
    volume = placed[0]
    said = np.stack([v.array for v in placed], axis=-1)
    kji = np.argwhere((said != 0).all(axis=-1))  # 0 is the fill value outside
    if len(kji) < np.prod(volume.shape):  # resampled: voxels at the PET's edge are interpolated with the fill value
        inside = kji[_away_from_filling(said, kji)]
        kji = inside
    kji = kji[:: max(1, len(kji) // 2000)]
    world = to_world(voxel_ras(volume.ijk_to_ras, kji), ct_parents)
    return np.linalg.norm(said[tuple(kji.T)] - world, axis=1), len(kji)


def _away_from_filling(said, kji):
    from scipy.ndimage import binary_erosion

    return binary_erosion((said != 0).all(axis=-1), iterations=3)[tuple(kji.T)]


def test_a_shared_transform_changes_no_bit(scene, nodes):
    before = [volume_in_frame_of(node, nodes.reference) for node in nodes.volumes.values()]
    liver = mask_on(nodes.segmentation, ["Liver"], nodes.reference)
    outer = bending_transform(scene)
    shared = linear_transform(scene, rigid((20, -30, 40), (100, -50, 70)), outer)
    for node in nodes.all():
        node.SetAndObserveTransformNodeID(shared.GetID())

    after = [volume_in_frame_of(node, nodes.reference) for node in nodes.volumes.values()]

    for old, new in zip(before, after):
        assert np.array_equal(old.ijk_to_ras, new.ijk_to_ras)
        assert np.array_equal(old.array, new.array)
    assert np.array_equal(mask_on(nodes.segmentation, ["Liver"], nodes.reference), liver)


def test_relation_is_its_own_inverse(scene):
    a = linear_transform(scene, rigid((4, 9, -12), (10, -20, 30)))
    b = linear_transform(scene, rigid((-6, 3, 15), (5, 6, -7)), a)
    one, other = (scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode") for _ in range(2))
    one.SetAndObserveTransformNodeID(b.GetID())
    forth, back = relation_between(one, other).matrix(), relation_between(other, one).matrix()
    assert not np.allclose(forth, np.eye(4))
    assert np.allclose(forth @ back, np.eye(4), atol=1e-9)


@pytest.mark.parametrize("name", ["no transform", "CT only", "PET only", "different, below a shared one", "PET bent"])
def test_a_mask_on_another_geometry_keeps_its_position(scene, name):
    """A ball drawn on the PET grid, read on the CT grid, is as accurate as a ball of PET voxels can be."""
    ct_parents, seg_parents = _chains(scene)[name]
    ct_matrix = oblique(CT_SPACING, CT_SHAPE)
    ct = slicer.util.addVolumeFromArray(np.zeros(CT_SHAPE, np.int16), ijkToRAS=ct_matrix, name="CT")
    ct.SetAndObserveTransformNodeID(ct_parents[0].GetID() if ct_parents else None)
    pet = slicer.util.addVolumeFromArray(np.zeros(PET_SHAPE, np.float32), ijkToRAS=PET_MATRIX, name="PET")
    pet.SetAndObserveTransformNodeID(seg_parents[0].GetID() if seg_parents else None)
    pet_world = to_world(centers_ras(Grid(PET_SHAPE, PET_MATRIX)).reshape(-1, 3), seg_parents)
    ct_world = to_world(centers_ras(Grid(CT_SHAPE, ct_matrix)).reshape(-1, 3), ct_parents)
    center = (pet_world.mean(axis=0) + ct_world.mean(axis=0)) / 2
    ball = (np.linalg.norm(pet_world - center, axis=1) < 18).reshape(PET_SHAPE)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn on PET")
    segmentation.SetAndObserveTransformNodeID(pet.GetTransformNodeID())
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(pet)
    segment = segmentation.GetSegmentation().AddEmptySegment("ball")
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball.astype(np.uint8), segmentation, segment, pet)

    mask = mask_on(segmentation, [segment], ct)

    distance = np.linalg.norm(ct_world - center, axis=1).reshape(CT_SHAPE)
    diagonal = np.linalg.norm(PET_SPACING) / 2
    assert mask[distance < 18 - diagonal].all()
    assert not mask[distance > 18 + diagonal].any()
    assert (distance < 18 - diagonal).sum() > 100


def test_the_volume_is_a_read_only_view(scene, nodes):
    volume = volume_from_node(nodes.reference)
    assert np.shares_memory(volume.array, slicer.util.arrayFromVolume(nodes.reference))
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1


@pytest.mark.parametrize("shift", [(0, 0, 0), (2, -3, 4), (-9, 0, 1), (40, 0, 0)])
def test_whole_voxel_shift_equals_resampling(scene, shift):
    """The fast path for segments on the image's own grid equals resampling, also when cropped or fully outside."""
    from REACTKDLib.scene.frames import Relation
    from REACTKDLib.scene.reslice import reslice, shifted

    matrix = oblique(CT_SPACING, CT_SHAPE)
    move = np.eye(4)
    move[:3, 3] = shift
    array = (np.random.default_rng(2).random((12, 14, 16)) < 0.5).astype(np.uint8)
    grid = Grid(CT_SHAPE, matrix)
    fast = shifted(array, matrix @ move, grid)
    assert np.array_equal(fast, reslice(array, matrix @ move, Relation((), ()), grid, nearest=True))
    assert shifted(array, matrix @ move @ np.diag([1.0, 1.01, 1.0, 1.0]), grid) is None
    half = np.eye(4)
    half[0, 3] = 0.5
    assert shifted(array, matrix @ half, grid) is None
