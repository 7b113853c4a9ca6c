"""The voxel map: matches its formula, on the reference grid, inside the regions, low memory, passes sanity checks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.grading.runner import StudentRunner, merge
from REACTKDLib.core.grading.voxel_map import gradient_map, onto_reference
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.placement import place_regions
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.masks.shells import shell_occupancy
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bands import smooth
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.network import FeatureMaps
from REACTKDLib.core.student.pooling import NodeMasks
from support.grids import centers_ras
from support.small_cases import case_stored, restored, rigid, small_case, storage_variants
from support.small_models import PREPARATION, random_student, small_bundle
from support.tensor_memory import peak_bytes

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def case() -> Case:
    return small_case()


@pytest.fixture(scope="module")
def grader() -> Grader:
    return Grader(small_bundle(1), "cpu")


def test_the_map_is_on_the_reference_grid_and_zero_outside_the_regions(case, grader):
    result = grader.open(case).grade()
    drawn = result.voxel_map
    assert drawn.shape == case.reference.shape and np.array_equal(drawn.ijk_to_ras, case.reference.ijk_to_ras)
    assert drawn.array.dtype == np.float32 and drawn.array.min() == 0 and drawn.array.max() == 1
    assert not drawn.array[~case.liver].any()
    assert result.voxel_map_scale > 0
    assert result.voxel_map.array is drawn.array  # drawn once


def test_the_gradient_in_two_steps_equals_the_direct_gradient(case):
    """Compared with plain autograd through pooling and head at once, on the whole grid, for every cached map."""
    student, prepared = random_student(1), PREPARATION(case)
    runner, grid = StudentRunner(student), prepared.grid
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    placement = place_regions(regions, grid)
    kept = merge({m.value: runner.encode(m.value, image) for m, image in prepared.images.items()})
    fused = runner.fuse(kept)
    images = {name: t[None].clone().requires_grad_() for name, t in kept.images.items()}
    bands = {name: t.clone().requires_grad_() for name, t in kept.bands.items()}
    levels = [level.clone().requires_grad_() for level in fused]
    features = FeatureMaps({name: t[0] for name, t in images.items()}, bands, {})
    shells = torch.stack([torch.from_numpy(shell_occupancy(regions, n, grid)) for n in range(1, len(regions.regions))])
    nodes = student.pool(features, NodeMasks(torch.from_numpy(regions.occupancy(grid)), shells), levels)
    student.decide(nodes, torch.from_numpy(placement.topology)).logits[2].backward()

    total = torch.zeros(grid.shape)
    for leaf in [*images.values(), *bands.values(), *levels]:
        step, maps = grid.shape[0] // leaf.shape[1], leaf.detach()
        weight = F.avg_pool3d(torch.from_numpy(regions.occupancy(grid)[:1]), step)
        mean = (maps * weight).sum((1, 2, 3), keepdim=True) / weight.sum()
        part = ((maps - mean) * leaf.grad).sum(0)[None, None] / step**3
        total += (part if step == 1 else F.interpolate(part, scale_factor=step, mode="trilinear"))[0, 0]
    expected = smooth(total, 1.0).clamp_min(0).numpy()
    found = gradient_map(runner, kept, fused, placement, 2)
    inner = tuple(slice(4, -4) for _ in range(3))  # at the box's edge, interpolation lacks the values outside
    assert expected.max() > 0
    assert np.allclose(found[inner], expected[placement.box][inner], atol=1e-3 * expected.max())


def test_every_way_of_storing_the_case_gives_the_same_map(case, grader):
    """Evidence per ml is unchanged; the display scale, a percentile over voxels, may shift to a neighboring voxel."""
    first = grader.open(case).grade()
    rng = np.random.default_rng(0)
    for order, flips in list(storage_variants())[::5]:
        moved = case_stored(case, order, flips, rigid(rng.uniform(-10, 10, 3), rng.uniform(-99, 99, 3)))
        result = grader.open(moved).grade()
        found, expected = result.voxel_map.array, restored(first.voxel_map.array, order, flips)
        assert abs(result.voxel_map_scale / first.voxel_map_scale - 1) < 0.02
        below = (found < 1) & (expected < 1)  # values above the scale are clipped
        evidence = found[below] * result.voxel_map_scale / first.voxel_map_scale
        assert np.allclose(evidence, expected[below], atol=2e-3)
        assert np.array_equal(result.voxel_map.ijk_to_ras, moved.reference.ijk_to_ras)


def test_interpolation_to_the_reference_keeps_a_linear_field(case):
    """A field that is linear in patient space is restored exactly wherever grid points surround the voxel."""
    grid, _ = PREPARATION.grid_for(case)
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    slope = np.array([0.02, -0.03, 0.05])
    found = onto_reference((centers_ras(grid) @ slope + 9).astype(np.float32), grid, regions)
    index = np.argwhere(case.liver)
    ras = index[:, ::-1] @ case.reference.ijk_to_ras[:3, :3].T + case.reference.ijk_to_ras[:3, 3]
    assert np.allclose(found[case.liver], ras @ slope + 9, atol=1e-3)
    assert not found[~case.liver].any()


def test_a_point_keeps_its_mass_and_position(case):
    """One bright grid voxel in a lesion keeps its position in the patient."""
    grid, _ = PREPARATION.grid_for(case)
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    place = np.array(regions.lesions[0].centroid_ras)
    k, j, i = np.round(np.linalg.solve(grid.ijk_to_ras, [*place, 1])[:3]).astype(int)[::-1]
    values = np.zeros(grid.shape, dtype=np.float32)
    values[k, j, i] = 1
    found = onto_reference(values, grid, regions)
    center = (np.argwhere(found > 0)[:, ::-1] * found[found > 0][:, None]).sum(0) / found.sum()
    ras = case.reference.ijk_to_ras[:3, :3] @ center + case.reference.ijk_to_ras[:3, 3]
    assert np.linalg.norm(ras - grid.ijk_to_ras[:3, :3] @ [i, j, k] - grid.ijk_to_ras[:3, 3]) < 1.0


def test_random_weights_change_the_map(case, grader):
    """Sanity check of Adebayo et al. 2018: a map that does not depend on the weights explains nothing."""
    first = grader.open(case).grade().voxel_map.array[case.liver]
    for seed in (11, 12, 13):
        other = Grader(small_bundle(seed), "cpu").open(case).grade().voxel_map.array[case.liver]
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.9


def test_randomizing_the_head_alone_changes_the_map(case):
    bundle = small_bundle(1)
    before = Grader(bundle, "cpu").open(case).grade().voxel_map.array[case.liver]
    student = random_student(1)
    student.head.load_state_dict(random_student(7).head.state_dict())
    after = Grader(Bundle(bundle.metadata, student), "cpu").open(case).grade().voxel_map.array[case.liver]
    assert np.corrcoef(before, after)[0, 1] < 0.95


def test_a_modality_left_out_leaves_the_map(case, grader):
    session = grader.open(case)
    ct_alone = session.grade(leave_out=[Modality.FDG, Modality.ACETATE])
    fresh = grader.open(Case("x", {Modality.CT: case.reference}, case.liver, case.tumor)).grade()
    assert np.allclose(ct_alone.voxel_map.array, fresh.voxel_map.array, atol=1e-4)


def test_a_muted_lesion_is_zero_in_the_map():
    """With the only lesion muted and no differences to the parenchyma, no voxel deep inside it can matter."""
    from scipy.ndimage import binary_erosion

    case = small_case([((0.0, 0.0, 0.0), 34.0)])
    core, loud = binary_erosion(case.tumor, iterations=7), []
    for seed in range(4):
        bundle = small_bundle(seed, blocks=("input", "bands"), difference=False)
        session = Grader(bundle, "cpu").open(case)
        loud.append(session.grade().voxel_map.array[core].max())
        assert session.grade(mute=["Lesion 1"]).voxel_map.array[core].max() < 1e-3
    assert core.any() and max(loud) > 0.01


@pytest.mark.parametrize("change", [{}, {"cbam": True}, {"blocks": ("encoder",)}], ids=["all", "cbam", "encoder"])
def test_peak_memory_stays_below_twice_a_forward(case, change):
    preparation = {"preparation": {**PREPARATION.to_metadata(), "shape": [48, 48, 64], "spacing_mm": 2.5}}
    session = Grader(small_bundle(1, info=preparation, **change), "cpu").open(case)
    result = session.grade()

    def forward():
        other = Grader(session.bundle, "cpu").open(case)
        other.grade()

    # The map's own tensors are added to the kept feature maps, which are part of a forward pass's memory.
    assert 0 < peak_bytes(lambda: result.voxel_map) < peak_bytes(forward)
