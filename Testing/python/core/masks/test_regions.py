"""Regions, shells and topology: masks worked out by hand, and conserved volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.masks.shells import SHELL_NAMES, lesion_depth, shell_occupancy
from REACTKDLib.core.masks.topology import TOPOLOGY_NAMES, margin_irregularity, topology_descriptors
from REACTKDLib.core.student.prepare import Preparation
from support.small_cases import small_case

IDENTITY = np.eye(4)


def masks(shape=(12, 14, 16)):
    liver = np.zeros(shape, dtype=bool)
    liver[1:-1, 1:-1, 1:-1] = True
    return liver, np.zeros(shape, dtype=bool)


def test_every_lesion_is_kept_largest_first():
    liver, tumor = masks()
    tumor[2:5, 2:5, 2:5] = True  # 27
    tumor[8, 8, 8] = True  # one voxel
    tumor[8:10, 2:4, 10:13] = True  # 12
    found = RegionSet.from_masks(liver, tumor, np.diag([1.0, 2.0, 3.0, 1.0]))
    assert [r.name for r in found.regions] == ["Parenchyma", "Lesion 1", "Lesion 2", "Lesion 3"]
    assert [r.voxels for r in found.regions] == [liver.sum() - 40, 27, 12, 1]
    assert np.isclose(found.regions[1].volume_ml, 27 * 6 / 1000)
    assert np.allclose(found.regions[1].centroid_ras, (3, 6, 9))
    assert np.array_equal(np.unique(found.labels), [0, 1, 2, 3, 4])
    assert not found.regions[0].touches_border


@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from((0.0, 0.02, 0.3, 1.0)))
@settings(max_examples=40, deadline=None)
def test_the_box_of_all_regions_is_that_of_their_labels(seed, share):
    """The box is taken from the regions, as searching the labels of a large CT takes a tenth of a second."""
    rng = np.random.default_rng(seed)
    liver, tumor = np.zeros((7, 8, 9), dtype=bool), np.zeros((7, 8, 9), dtype=bool)
    start, size = rng.integers(0, 4, 3), rng.integers(1, 5, 3)
    part = tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))
    tumor[part] = rng.random(tuple(size)) < share
    liver[part] = (rng.random(tuple(size)) < 0.5) | tumor[part]
    found = RegionSet.from_masks(liver, tumor, IDENTITY)
    assert found.box == (bounding_box(found.labels != 0) or (slice(0, 1),) * 3)


def test_diagonal_neighbors_are_one_lesion():
    liver, tumor = masks()
    tumor[4, 4, 4] = tumor[5, 5, 5] = True
    assert len(RegionSet.from_masks(liver, tumor, IDENTITY).lesions) == 1
    tumor[5, 5, 5], tumor[6, 6, 6] = False, True
    assert len(RegionSet.from_masks(liver, tumor, IDENTITY).lesions) == 2


def test_a_liver_without_lesion_and_an_empty_liver():
    liver, tumor = masks()
    assert RegionSet.from_masks(liver, tumor, IDENTITY).lesions == ()
    empty = RegionSet.from_masks(tumor, tumor, IDENTITY)
    assert empty.regions[0].voxels == 0 and topology_descriptors(empty).values.sum() == 0


def test_cut_by_the_field_of_view():
    liver, tumor = masks()
    liver[0] = True
    assert RegionSet.from_masks(liver, tumor, IDENTITY).regions[0].touches_border


def test_occupancy_conserves_volume_and_loses_no_lesion():
    case = small_case()
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    preparation = Preparation(shape=(48, 48, 64), spacing_mm=5.0)
    grid, _ = preparation.grid_for(case)
    occupancy = regions.occupancy(grid)
    ml = occupancy.sum(axis=(1, 2, 3)) * np.prod(grid.spacing) / 1000
    assert np.allclose(ml, [r.volume_ml for r in regions.regions], rtol=1e-4)
    assert occupancy.sum(axis=0).max() <= 1 + 1e-4


def ball(radius, spacing=(1.0, 1.0, 1.0)):
    n = [int(2 * radius / s) + 9 for s in spacing]
    grids = np.meshgrid(*[(np.arange(m) - (m - 1) / 2) * s for m, s in zip(n, spacing, strict=True)], indexing="ij")
    return np.sqrt(sum(g**2 for g in grids)) <= radius


def test_shells_of_a_ball():
    """Shell volumes of a ball of radius 16 mm match the closed form and add up to the lesion."""
    tumor = ball(16.0, (0.5, 0.5, 0.5))
    matrix = np.diag([0.5, 0.5, 0.5, 1.0])
    regions = RegionSet.from_masks(np.ones(tumor.shape, dtype=bool), tumor, matrix)
    shells = shell_occupancy(regions, 1, Grid(tumor.shape, matrix))
    volumes = dict(zip(SHELL_NAMES, shells.sum(axis=(1, 2, 3)) / 8, strict=True))
    whole = 4 / 3 * np.pi
    edges = {"0-2.5 mm": (13.5, 16), "2.5-5 mm": (11, 13.5), "5-10 mm": (6, 11), "below 10 mm": (0, 6)}
    for name, (low, high) in edges.items():
        assert np.isclose(volumes[name], whole * (high**3 - low**3), rtol=0.2), name  # depth is quantized to voxels
    assert np.isclose(sum(volumes[n] for n in edges), tumor.sum() / 8)
    assert np.isclose(volumes["outer third"], tumor.sum() / 24, rtol=0.06)
    assert np.isclose(volumes["outside 0-5 mm"], whole * (20**3 - 16**3), rtol=0.25)  # the box truncates it


def test_depth_is_in_mm_on_thick_slices():
    tumor = ball(14.0, (4.0, 1.0, 1.0))
    regions = RegionSet.from_masks(np.ones_like(tumor), tumor, np.diag([1.0, 1.0, 4.0, 1.0]))
    depth, _ = lesion_depth(regions, 1)
    assert 10.5 < depth.max() < 15


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.8, 0.8)])
def test_margin_of_ball_and_bumpy_ball(spacing):
    grids = np.meshgrid(*[np.arange(-24, 24.1, s) for s in spacing], indexing="ij")
    distance = np.sqrt(sum(g**2 for g in grids)) + 1e-6
    smooth = margin_irregularity(distance <= 18, np.array(spacing))
    cosine = grids[0] / distance
    bumpy = margin_irregularity(distance <= 18 * (1 + 0.15 * (3 * cosine**2 - 1) / 2 * np.sqrt(5)), np.array(spacing))
    assert smooth < 0.035
    assert 0.10 < bumpy < 0.20  # the second Legendre polynomial has a mean square of 1/5, so the rms is 0.15


def test_topology_agrees_with_hand_worked_values():
    liver, tumor = masks((30, 30, 30))
    tumor[5:9, 5:9, 5:9] = True
    tumor[15:17, 5:7, 5:7] = True
    regions = RegionSet.from_masks(liver, tumor, IDENTITY)
    values = dict(zip(TOPOLOGY_NAMES, topology_descriptors(regions).values, strict=True))
    assert values["lesions"] == 2
    assert np.isclose(values["ln tumor volume ml"], np.log(0.072), atol=1e-5)
    assert np.isclose(values["largest share"], 64 / 72, atol=1e-5)
    assert np.isclose(values["spread mm"], np.linalg.norm([9, -1, -1]) / 2, atol=1e-4)


@pytest.mark.parametrize(("count", "kind"), [(3, np.uint8), (254, np.uint8), (255, np.uint16), (300, np.uint16)])
def test_labels_take_the_smallest_type_that_holds_them(count, kind):
    tumor = np.zeros((4, 40, 40), dtype=bool)
    places = [(k, j, i) for k in (0, 2) for j in range(0, 40, 2) for i in range(0, 40, 2)][:count]
    tumor[tuple(np.transpose(places))] = True
    regions = RegionSet.from_masks(np.ones_like(tumor), tumor, np.eye(4))
    assert regions.labels.dtype == kind and len(regions.lesions) == count
    assert regions.labels.max() == count + 1 and all((regions.mask(n)).sum() == 1 for n in (1, count))
