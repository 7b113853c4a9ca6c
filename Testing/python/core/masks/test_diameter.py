"""The longest axial diameter: known shapes, in any storage order, on oblique and anisotropic grids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.masks.diameter import longest_axial_diameter
from support.small_cases import placed, restored, rotation, storage_variants, world


def ball(radius: float, spacing=(1.0, 1.0, 2.5), turned=(0, 0, 0), squeeze=(1, 1, 1)) -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid around (7, 8, 9) whose half axes are the radius times `squeeze`, along R, A, S."""
    shape = tuple(int(2 * radius * max(squeeze) / s) + 6 for s in spacing[::-1])
    matrix = placed(shape, spacing, np.array([7.2, 8.1, 9.3]), rotation(turned))
    return (((world(shape, matrix) - [7, 8, 9]) / np.array(squeeze)) ** 2).sum(-1) <= radius**2, matrix


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 2.5), (1.0, 1.0, 1.0), (0.7, 1.1, 5.0)])
@pytest.mark.parametrize("radius", [6.0, 15.0, 31.0])
def test_the_diameter_of_a_ball_is_its_diameter(spacing, radius):
    mask, matrix = ball(radius, spacing)
    assert longest_axial_diameter(mask, matrix) == pytest.approx(2 * radius, abs=max(spacing[:2]))


def test_it_is_axial_though_the_lesion_is_longest_from_head_to_foot():
    mask, matrix = ball(10.0, squeeze=(1.0, 1.5, 3.0))
    assert longest_axial_diameter(mask, matrix) == pytest.approx(30.0, abs=1)


def test_diameters_agree_with_hand_worked_values():
    mask = np.zeros((3, 6, 7), bool)
    matrix = np.diag([2.0, 3.0, 4.0, 1.0])
    assert longest_axial_diameter(mask, matrix) == 0
    mask[1, 2, 2] = True
    assert longest_axial_diameter(mask, matrix) == 3.0  # one voxel, 2 x 3 mm
    mask[1, 2, 2:6] = True
    assert longest_axial_diameter(mask, matrix) == 8.0  # four in a row along i
    mask[1, 2:5, 2:6] = True  # 4 x 3 voxels: centers three columns and three rows apart at most
    assert longest_axial_diameter(mask, matrix) == pytest.approx(np.hypot(6.0, 9.0))
    mask[2, 0, 0] = True  # in another slice: a diameter lies within one slice
    assert longest_axial_diameter(mask, matrix) == pytest.approx(np.hypot(6.0, 9.0))


def test_two_parts_in_one_slice_are_spanned():
    mask = np.zeros((1, 1, 20), bool)
    mask[0, 0, [2, 12]] = True
    assert longest_axial_diameter(mask, np.eye(4)) == 11.0


def test_every_way_to_store_an_image_gives_one_diameter():
    mask, matrix = ball(9.0, (1.0, 1.2, 3.0), (7, -8, 20), squeeze=(1.3, 1.0, 0.8))
    known = longest_axial_diameter(mask, matrix)
    for order, flips in storage_variants():
        other = matrix.copy()
        other[:3, :3] = matrix[:3, list(order)] * np.where(flips, -1, 1)
        assert longest_axial_diameter(restored(mask, order, flips), other) == pytest.approx(known)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(0.7, 0.9, 3.0), (1.0, 1.0, 1.0)]))
def test_no_longer_line_exists_in_any_slice(seed, spacing):
    """Compared with all pairs of boundary points, four edge midpoints for each voxel."""
    rng = np.random.default_rng(seed)
    mask = rng.random((2, 7, 8)) < rng.choice([0.1, 0.4, 0.9])
    matrix = np.diag([*spacing, 1.0])
    longest = 0.0
    for plane in mask:
        drawn = np.argwhere(plane)
        sides = [drawn + side for side in ([0, 0.5], [0, -0.5], [0.5, 0], [-0.5, 0])]
        points = np.concatenate(sides) * spacing[:2][::-1]
        if len(points):
            longest = max(longest, np.linalg.norm(points[:, None] - points[None], axis=-1).max())
    assert longest_axial_diameter(mask, matrix) == pytest.approx(longest)
