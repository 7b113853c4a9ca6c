"""Resampling masks to another grid: in the right position, and no lesion lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from scipy.spatial.transform import Rotation

from REACTKDLib.core.images.grid import Grid, corners_of
from REACTKDLib.core.images.regrid import has_no_geometry, mask_on_grid, share_inside, whole_voxel_windows
from support.grids import centers_ras
from support.small_cases import placed, restored, rotation, small_case, storage_variants, stored

CENTER = np.array([14.0, -33.0, 71.0])


def ellipsoid(grid: Grid, radius: float = 22.0) -> np.ndarray:
    return (((centers_ras(grid) - CENTER) / [1.0, 0.8, 1.1]) ** 2).sum(-1) <= radius**2


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.floats(0.9, 4.0)] * 3), st.floats(-3, 3))
def test_a_mask_keeps_its_position(degrees, spacing, shift):
    source = Grid((40, 44, 48), placed((40, 44, 48), (1.5, 1.4, 1.6), CENTER, rotation((5.0, 8.0, -3.0))))
    target = Grid((30, 34, 26), placed((30, 34, 26), spacing, CENTER + shift, rotation(degrees)))
    out = mask_on_grid(ellipsoid(source), source.ijk_to_ras, target)
    truth = ellipsoid(target)
    inner, outer = ellipsoid(target, 20.5), ellipsoid(target, 23.5)  # half a source voxel's diagonal on either side
    assert not (inner & ~out).any()
    assert not (out & ~outer).any()
    assert truth.any()


def test_all_storage_orders_agree():
    case = small_case()
    for order, flips in storage_variants():
        reference = stored(case.reference, order, flips)
        out = mask_on_grid(case.tumor, case.reference.ijk_to_ras, Grid(reference.shape, reference.ijk_to_ras))
        assert np.array_equal(out, restored(case.tumor, order, flips))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.tuples(*[st.floats(-90, 90)] * 3))
def test_no_lesion_is_lost_on_a_coarser_grid(seed, degrees):
    rng = np.random.default_rng(seed)
    source = Grid((30, 30, 30), placed((30, 30, 30), (1.0, 1.0, 1.0), CENTER, np.eye(3)))
    mask = np.zeros(source.shape, dtype=bool)
    for k, j, i in rng.integers(1, 4, (6, 3)) * 7:
        mask[k : k + rng.integers(1, 3), j, i] = True
    target = Grid((20, 20, 20), placed((20, 20, 20), (3.0, 3.0, 3.0), CENTER, rotation(degrees)))
    out = mask_on_grid(mask, source.ijk_to_ras, target)
    parts, count = label(mask, structure=np.ones((3, 3, 3)))
    hits = np.argwhere(out) @ target.ijk_to_ras[:3, :3][:, ::-1].T + target.ijk_to_ras[:3, 3]
    for n in range(1, count + 1):
        center = source.ijk_to_ras[:3, :3] @ np.argwhere(parts == n).mean(axis=0)[::-1] + source.ijk_to_ras[:3, 3]
        assert np.linalg.norm(hits - center, axis=1).min() < 3.0


def test_the_shared_part_of_two_grids_is_measured():
    grid = Grid((10, 10, 10), placed((10, 10, 10), (2, 2, 2), CENTER, np.eye(3)))
    beside = Grid(grid.shape, placed((10, 10, 10), (2, 2, 2), CENTER + [10.0, 0, 0], np.eye(3)))
    far = Grid(grid.shape, placed((10, 10, 10), (2, 2, 2), CENTER + 500.0, np.eye(3)))
    full = np.ones(grid.shape, dtype=bool)
    assert share_inside(full, grid.ijk_to_ras, grid) == 1
    assert share_inside(full, grid.ijk_to_ras, beside) == pytest.approx(0.5)
    assert share_inside(full, grid.ijk_to_ras, far) == 0
    assert not mask_on_grid(full, grid.ijk_to_ras, far).any()
    assert not mask_on_grid(~full, grid.ijk_to_ras, beside).any()


def test_an_identity_matrix_counts_as_lost_geometry():
    assert has_no_geometry(np.eye(4))
    assert has_no_geometry(np.diag([-1.0, -1.0, 1.0, 1.0]))  # as converted from LPS
    assert not has_no_geometry(np.diag([1.0, 1.0, 2.0, 1.0]))


@pytest.mark.parametrize("axis", [(1, 1, 1), (1, 1, -1), (1, -1, 1), (0, 0, 1), (1, 0, 0)])
def test_a_slightly_rotated_grid_is_another_lattice(axis):
    """Rotated about any diagonal: the corner on the axis stays in place, all others move by millimeters."""
    shape, axis = (128, 128, 128), np.array(axis) / np.linalg.norm(axis)
    turn = Rotation.from_rotvec(np.deg2rad(0.8) * axis).as_matrix()
    matrix, turned = np.eye(4), np.eye(4)
    turned[:3, :3] = turn
    for corner in corners_of(shape)[:, :3]:
        turned[:3, 3] = corner - turn @ corner
        assert whole_voxel_windows(shape, turned, Grid(shape, matrix)) is None
    moved = matrix.copy()
    moved[:3, 3] = (3, -2, 5)
    assert whole_voxel_windows(shape, moved, Grid(shape, matrix)) is not None
