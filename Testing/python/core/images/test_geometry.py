"""Axes, separable weights and sampling: properties, and an analytic field in world coordinates."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.images.geometry import (
    area_weights,
    bounding_box,
    center_of,
    from_ras_order,
    linear_weights,
    nearest_ras_axes,
    sample_volume,
    to_ras_order,
)
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.volume import Volume
from support.grids import centers_ras
from support.small_cases import rotation

axis = st.tuples(st.integers(1, 40), st.floats(0.4, 6), st.floats(-30, 60), st.integers(1, 40), st.floats(0.4, 6))


@given(axis)
def test_linear_weights_preserve_constants_and_linear_functions(parameters):
    n, source_mm, first, m, target_mm = parameters
    w = linear_weights(n, source_mm, first, m, target_mm)
    inside = w.any(axis=1)
    assert np.allclose(w[inside].sum(axis=1), 1, atol=1e-5)
    assert (w >= 0).all()
    if source_mm >= target_mm and n > 1:  # interpolation: exact for a linear function between the outer centers
        target = first + np.arange(m) * target_mm
        between = inside & (target >= 0) & (target <= (n - 1) * source_mm)
        assert np.allclose((w @ (np.arange(n) * source_mm))[between], target[between], atol=1e-3)


@given(axis)
def test_area_weights_conserve_volume(parameters):
    n, source_mm, first, m, target_mm = parameters
    w = area_weights(n, source_mm, first, m, target_mm)
    low, high = first - target_mm / 2, first + (m - 0.5) * target_mm
    covered = np.clip(np.arange(n) * source_mm + source_mm / 2, low, high) - np.clip(
        np.arange(n) * source_mm - source_mm / 2, low, high
    )
    assert np.allclose(w.sum(axis=0) * target_mm, covered, atol=1e-3)
    assert w.max(initial=0) <= 1 + 1e-5


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_ras_order_of_all_48_storages(order, signs):
    rng = np.random.default_rng(0)
    array = rng.normal(size=(5, 6, 7))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((11, -7, 14))[:, list(order)] * np.array(signs) * (1.0, 2.0, 3.0)
    view, own = to_ras_order(array, matrix)
    axes, found = nearest_ras_axes(matrix)
    assert [order[a] for a in axes] == [0, 1, 2]
    assert [signs[a] for a in axes] == list(found)
    i, j, k = 4, 1, 3
    world = matrix[:3, :3] @ (i, j, k) + matrix[:3, 3]
    u = np.rint(np.linalg.solve(own[:3, :3], world - own[:3, 3])).astype(int)
    assert view[u[2], u[1], u[0]] == array[k, j, i]
    assert np.shares_memory(view, array)
    assert np.array_equal(from_ras_order(view, matrix), array)


def field(ras):
    return ras @ (0.03, -0.02, 0.05) + 7


@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, -10, 35)])
@pytest.mark.parametrize("spacing", [(4.0, 4.1, 5.0), (1.2, 1.3, 1.1)])
def test_sampling_is_correct_in_world_coordinates(degrees, spacing):
    """A linear field is sampled exactly inside the volume, whatever its position and rotation."""
    shape = tuple(int(120 / s) for s in spacing[::-1])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(degrees) * spacing
    matrix[:3, 3] = (-40, 25, 10) - matrix[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    volume = Volume(field(centers_ras(Grid(shape, matrix))).astype(np.float32), matrix)
    target = np.eye(4)
    target[:3, :3] = rotation((3, 4, -5)) * 2.5
    target[:3, 3] = (-80, -20, -90)
    grid = Grid((40, 36, 32), target)
    values, inside = sample_volume(volume, grid, fill=-99)
    index = (centers_ras(grid) - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    margin = 3 * 2.5 / min(spacing)
    deep = np.all((index > margin) & (index < np.array(shape[::-1]) - 1 - margin), axis=-1)
    assert deep.sum() > 1000 and (~inside).sum() > 1000
    assert np.abs(values - field(centers_ras(grid)))[deep].max() < 2e-3
    assert (values[~inside] == -99).all()


def test_rotated_and_axis_aligned_sampling_agree():
    rng = np.random.default_rng(1)
    matrix = np.diag([4.0, 5.0, 3.0, 1.0])
    volume = Volume(rng.normal(size=(20, 22, 24)).astype(np.float32), matrix)
    grid = Grid((24, 24, 24), np.diag([2.5, 2.5, 2.5, 1.0]))
    slightly = np.eye(4)
    slightly[:3, :3] = rotation((0.05, 0, 0))
    a, _ = sample_volume(volume, grid, 0)
    b, _ = sample_volume(Volume(volume.array, slightly @ matrix), grid, 0)
    assert np.abs(a - b).max() < 0.15  # the rotation moves points by a few hundredths of a voxel
    assert np.abs(a - b).mean() < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_the_center_of_a_mask_is_the_mean_of_its_voxel_positions(seed):
    mask = np.random.default_rng(seed).random((5, 7, 9)) < 0.2
    count, center = center_of(mask)
    places = np.argwhere(mask)
    assert count == len(places)
    assert np.allclose(center, places.mean(axis=0), rtol=0, atol=1e-12)


def test_an_empty_mask_has_its_center_at_zero():
    assert center_of(np.zeros((0, 3, 4), bool))[0] == center_of(np.zeros((2, 3, 4), bool))[0] == 0
    assert center_of(np.zeros((2, 3, 4), bool))[1].tolist() == [0, 0, 0]


@settings(max_examples=30)
@given(st.integers(0, 2**31))
def test_the_bounding_box_contains_all_voxels_of_the_mask(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((6, 7, 8)) < 0.02
    box = bounding_box(mask)
    if not mask.any():
        assert box is None
    else:
        where = np.argwhere(mask)
        assert [(s.start, s.stop) for s in box] == list(zip(where.min(0), where.max(0) + 1, strict=True))
