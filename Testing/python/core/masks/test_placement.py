"""Placing regions on a box of the grid loses nothing compared with the whole grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from REACTKDLib.core.grading.runner import LesionShells, StudentRunner, merge
from REACTKDLib.core.masks.placement import ALIGN, place_regions
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.masks.shells import shell_occupancy
from REACTKDLib.core.student.pooling import NodeMasks
from support.small_cases import small_case
from support.small_models import PREPARATION, random_student

CASES = {
    "two lesions": small_case(),
    "cut liver": small_case(shift=(35.0, -20.0, 30.0)),
    "lesion at the surface": small_case([((60.0, 0.0, 0.0), 12.0)]),
    "no lesion": small_case(()),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def placed(request):
    case = request.param
    regions = RegionSet.from_masks(case.liver | case.tumor, case.tumor, case.reference.ijk_to_ras)
    grid, _ = PREPARATION.grid_for(case.with_masks(liver=case.liver | case.tumor))
    return case, regions, grid, place_regions(regions, grid)


def share_inside(regions, placement) -> np.ndarray:
    """The fraction of each region's volume that the placement covers."""
    cell_ml = float(np.prod(placement.grid.spacing)) / 1000
    volumes = np.array([region.volume_ml for region in regions.regions])
    return np.where(volumes > 0, placement.occupancy.sum(axis=(1, 2, 3)) * cell_ml / np.maximum(volumes, 1e-9), 1.0)


def test_occupancy_on_the_box_is_that_of_the_grid(placed):
    _, regions, grid, placement = placed
    whole = regions.occupancy(grid)
    assert np.allclose(whole[(slice(None), *placement.box)], placement.occupancy, atol=1e-6)
    assert whole.sum() == pytest.approx(placement.occupancy.sum(), rel=1e-6)
    assert share_inside(regions, placement) == pytest.approx(np.ones(len(regions.regions)), abs=1e-4)
    assert all(s.start % ALIGN == 0 and 0 <= s.start < s.stop <= n for s, n in zip(placement.box, grid.shape))


def test_shells_on_their_boxes_are_those_of_the_grid(placed):
    _, regions, grid, placement = placed
    laid_out = LesionShells(placement, torch.device("cpu"))
    assert len(laid_out) == len(regions.lesions)
    for index, shells in enumerate(laid_out, start=1):
        whole = shell_occupancy(regions, index, grid)
        assert np.allclose(shells.numpy(), whole[(slice(None), *placement.box)], atol=1e-6)
        assert whole.sum() == pytest.approx(float(shells.sum()), rel=1e-5)


def test_pooling_on_the_box_is_pooling_on_the_grid(placed):
    case, regions, grid, placement = placed
    student = random_student(1)
    runner = StudentRunner(student)
    features = merge({m.value: runner.encode(m.value, image) for m, image in PREPARATION(case, grid).images.items()})
    boxed = runner.pool(features, runner.fuse(features), placement)
    shells = [torch.from_numpy(shell_occupancy(regions, n, grid)) for n in range(1, len(regions.regions))]
    whole = student.pool(features, NodeMasks(torch.from_numpy(regions.occupancy(grid)), shells))
    assert torch.allclose(boxed.fused, whole.fused, atol=1e-4)
    for name, vectors in whole.fixed.items():
        assert torch.allclose(boxed.fixed[name], vectors, atol=1e-4), name


def test_what_lies_beyond_the_field_is_left_out():
    case = small_case()
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    grid, _ = PREPARATION.grid_for(case)
    moved = type(grid)(grid.shape, grid.ijk_to_ras.copy())
    moved.ijk_to_ras[:3, 3] += moved.ijk_to_ras[:3, 0] * 16  # half the field of view, along i
    assert share_inside(regions, place_regions(regions, moved)).min() < 0.6
    moved.ijk_to_ras[:3, 3] += moved.ijk_to_ras[:3, 0] * 60
    far = place_regions(regions, moved)
    assert not far.occupancy.any() and (share_inside(regions, far) == 0).all()
