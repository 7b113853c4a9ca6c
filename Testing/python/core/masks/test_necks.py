"""Necks: touching lesions are found and split where they meet, single ones stay whole; with rates over many seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from REACTKDLib.core.masks.checks import check_lesions
from REACTKDLib.core.masks.lesions import lesion_map
from REACTKDLib.core.masks.necks import neck_of, parted
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.phantom.lesion import Lesion

SPACING = np.array([2.5, 1.2, 1.2])  # k, j, i
FEW, MANY = 10, pytest.param(64, marks=pytest.mark.slow)
FULL = np.ones((3, 3, 3))


def lesion(center, radius: float, margin: float, seed: int) -> Lesion:
    return Lesion(tuple(center), radius, margin, 0, 0, 0, 3, 1, 1, 1, 1, seed)


def drawn(*lesions: Lesion) -> list[np.ndarray]:
    """The mask of each lesion on one grid that covers all of them."""
    low = np.min([one.bounds()[0] for one in lesions], axis=0) - 4
    high = np.max([one.bounds()[1] for one in lesions], axis=0) + 4
    x, y, z = (np.arange(a, b, s) for a, b, s in zip(low, high, SPACING[::-1]))
    return [one.depth(x[None, None, :], y[None, :, None], z[:, None, None]) > 0 for one in lesions]


def margin_of(rng: np.random.Generator) -> float:
    """A random margin irregularity, distributed as in the phantom's lesions."""
    return float(np.exp(rng.normal(np.log(rng.choice([0.07, 0.09, 0.12])), 0.45)))


def single(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = drawn(lesion((0, 0, 0), rng.uniform(8, 18), margin_of(rng), seed))[0]
    parts, _count = label(mask, structure=FULL)
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])


def pair(seed: int, overlap: float) -> tuple[np.ndarray, np.ndarray]:
    """Two touching lesions in a random direction; `overlap` is their overlap as a fraction of the smaller radius."""
    rng = np.random.default_rng(seed + 1000)
    radii, margins = rng.uniform(8, 16, 2), (margin_of(rng), margin_of(rng))
    way = rng.normal(size=3)
    way /= np.linalg.norm(way)
    apart = radii.sum() - overlap * radii.min()
    while True:
        one = lesion((0, 0, 0), radii[0], margins[0], seed)
        first, second = drawn(one, lesion(way * apart, radii[1], margins[1], seed + 500))
        if label(first | second, structure=FULL)[1] == 1:
            return first, second
        apart -= 0.5


@pytest.mark.parametrize("seeds", [FEW, MANY])
def test_single_lesions_are_left_alone(seeds):
    alarms = [parted(single(seed), SPACING).count > 1 for seed in range(seeds)]
    assert np.mean(alarms) <= 0.03, f"{np.mean(alarms):.1%} false alarms"


@pytest.mark.parametrize("seeds", [FEW, MANY])
@pytest.mark.parametrize(("overlap", "least"), [(0.05, 0.9), (0.15, 0.75), (0.3, 0.5)])
def test_touching_lesions_are_split_where_they_meet(overlap, least, seeds):
    hits, likeness = [], []
    for seed in range(seeds):
        first, second = pair(seed, overlap)
        found = parted(first | second, SPACING)
        assert np.array_equal(found.parts > 0, first | second), "no voxel is lost or made"
        hits.append(found.count > 1)
        if found.count == 2:
            large, small = sorted((first, second), key=np.count_nonzero, reverse=True)
            dice = [
                2 * (a & (found.parts == n)).sum() / (a.sum() + (found.parts == n).sum())
                for n, a in enumerate((large, small), 1)
            ]
            likeness.append(min(dice))
    assert np.mean(hits) >= least, f"{np.mean(hits):.1%} found"
    assert np.median(likeness) > 0.97


def two_balls(gap: float, radii=(14.0, 10.0)) -> tuple[np.ndarray, np.ndarray]:
    """Two balls on a grid of 1 mm, `gap` mm between their surfaces, joined by a bar of 3 x 3 mm."""
    apart = radii[0] + radii[1] + gap
    i = np.arange(-16, apart + 13)
    z, y, x = np.meshgrid(np.arange(-16.0, 17), np.arange(-16.0, 17), i, indexing="ij")
    first = x**2 + y**2 + z**2 <= radii[0] ** 2
    second = (x - apart) ** 2 + y**2 + z**2 <= radii[1] ** 2
    bar = (abs(y) <= 1) & (abs(z) <= 1) & (x > 0) & (x < apart)
    return first, second | (bar & ~first)


@pytest.mark.parametrize("gap", [0.0, 4.0])
def test_a_bar_between_two_balls_is_a_neck(gap):
    first, second = two_balls(gap)
    found = parted(first | second, np.ones(3))
    assert found.count == 2
    assert 2 * (first & (found.parts == 1)).sum() / (first.sum() + (found.parts == 1).sum()) > 0.98
    place = np.array(found.neck)
    along = place[2] - 16
    assert 12 <= along <= 14 + gap + 2 and (first | second)[tuple(place)], "between the balls, in the lesion"
    for n in (1, 2):
        assert label(found.parts == n, structure=FULL)[1] == 1


def test_an_appendage_under_half_a_milliliter_is_not_a_lesion_core():
    first, second = two_balls(3.0, radii=(14.0, 4.0))  # 0.27 ml
    assert parted(first | second, np.ones(3)).count == 1


@pytest.mark.parametrize("axes", [(12, 12, 12), (30, 10, 10), (26, 15, 8)])
def test_a_smooth_elongated_lesion_has_no_neck(axes):
    z, y, x = np.meshgrid(*(np.arange(-32.0, 33),) * 3, indexing="ij")
    assert parted((x / axes[0]) ** 2 + (y / axes[1]) ** 2 + (z / axes[2]) ** 2 <= 1, np.ones(3)).count == 1


def test_the_finding_has_the_position_and_disappears_after_the_split():
    first, second = two_balls(2.0)
    matrix = np.array([[-1.0, 0, 0, 5], [0, -1.0, 0, 7], [0, 0, 1.0, -9], [0, 0, 0, 1]])
    liver = np.ones(first.shape, bool)
    regions = RegionSet.from_masks(liver, first | second, matrix)
    memo = Memo()
    findings = [f for f in check_lesions(regions, memo) if f.code == "lesion-neck"]
    assert len(findings) == 1 and "Lesion 1 has a neck" in findings[0].message and findings[0].severity == "info"
    kji = np.rint(np.linalg.solve(matrix, [*findings[0].location_ras, 1])[:3][::-1]).astype(int)
    assert (first | second)[tuple(kji)]
    assert (
        neck_of(regions, regions.lesions[0], memo) == findings[0].location_ras == neck_of(regions, regions.lesions[0])
    )
    whole = tuple(slice(0, n) for n in first.shape)
    apart = RegionSet.from_masks(
        liver, first | second, matrix, lesion_map([(whole, first), (whole, second)], first.shape)
    )
    assert len(apart.lesions) == 2 and not [f for f in check_lesions(apart) if f.code == "lesion-neck"]
