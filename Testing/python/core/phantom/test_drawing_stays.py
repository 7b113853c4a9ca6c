"""Phantoms stay as they were, bit by bit, however fast they are drawn: trainings and tables were made from them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.grid_solid import GridSolid
from REACTKDLib.core.phantom.shapes import Tube


def digest(phantom) -> str:
    """A hash of every voxel, every geometry and the truth."""
    found = hashlib.sha256()
    for modality, volume in phantom.case.volumes.items():
        found.update(f"{modality.value}{volume.array.dtype}".encode() + volume.array.tobytes())
        found.update(np.ascontiguousarray(volume.ijk_to_ras).tobytes())
    for mask in (phantom.case.liver, phantom.case.tumor):
        found.update(np.packbits(mask).tobytes())
    found.update(json.dumps(phantom.truth, sort_keys=True).encode())
    return found.hexdigest()[:32]


# of the first edition, stored on 28 November 2026, before there was a second; and of the second, before it was fast
@pytest.mark.parametrize(
    ("biology", "size", "seed", "cohort", "grade", "around", "stored"),
    [
        ("independent", "tiny", 0, "single", "poor", None, "372529cf213082f5e24739c3f0ebbc32"),
        ("independent", "tiny", 3, "hospital", None, 26.0, "f8afa794217edfe75915c8c5e2778622"),
        ("independent", "tiny", 5, "external", None, None, "3c68276b4595c58adc956b7d1e1a0cdf"),
        ("independent", "tiny", 2, "large", None, 26.0, "2b57cc3aa6aacedc8bf8b826dbb3da03"),
        ("independent", "tiny", 1, "unlabeled", None, None, "c5037f252919be769ad605328b39cda5"),
        ("shared", "tiny", 0, "single", "poor", None, "4c22075e96f044cead6dc43763f48f29"),
        ("shared", "tiny", 5, "external", None, None, "f131fc3391db94346f993b9d57557bb3"),
        ("shared", "small", 1, "single", None, None, "292968d1046576857f11dfe7558ef6f5"),
        ("shared", "small", 2, "large", None, 26.0, "30dbe70a759ed4610828f9670db04b45"),
        ("shared", "full", 2, "unlabeled", None, 5.0, "78fbe32d66cf4999fce9f5713c7d9be0"),
    ],
)
def test_seeds_give_the_cases_that_they_gave(biology, size, seed, cohort, grade, around, stored):
    patient = draw_patient(seed, grade, cohort, biology=biology)
    assert digest(acquire(patient, size, around_liver_mm=around)) == stored


def test_a_solid_in_pieces_is_the_solid():
    """Boxes that share no voxel, in each the depth itself, outside them nothing above the limit."""
    rng = np.random.default_rng(1)
    grid = Lattice.regular(np.array([-40.0, -36.0, -50.0]), np.full(3, 4.0), (26, 19, 21))
    x, y, z = grid.coordinates((slice(None),) * 3)
    rings = np.maximum(8 - np.hypot(np.hypot(x, y) - 25, z + 20), 7 - np.hypot(np.hypot(x, z) - 22, y))  # with holes
    solid = GridSolid.cropped(grid, (rings + rng.normal(0, 0.3, rings.shape)).astype(np.float32))
    for step in (0.8, 5.0):
        n = (np.array([120.0, 100.0, 110.0]) / step).astype(int)
        lattice = Lattice.regular(np.array([-58.0, -47.0, -53.3]), np.full(3, step), tuple(n[::-1]))
        whole = solid.depth(*lattice.coordinates((slice(None),) * 3))
        times, count = np.zeros(whole.shape, dtype=int), 0
        for box, depth in solid.pieces(lattice, -0.6):
            assert np.array_equal(depth, whole[box])
            times[box] += 1
            count += 1
        assert times.max() == 1 and not ((whole > -0.6) & (times == 0)).any()
        assert (count > 3 and times.mean() < 0.5) if step < 1 else count == 1


def test_the_depth_of_a_tube_is_its_formula():
    rng = np.random.default_rng(2)
    x, y, z = (a.astype(np.float32) for a in np.meshgrid(*[np.linspace(-9, 9, 12)] * 3, indexing="ij", sparse=True))
    start, end = rng.normal(size=(2, 3)) * 5
    t = (x - start[0]) * (end - start)[0] + (y - start[1]) * (end - start)[1] + (z - start[2]) * (end - start)[2]
    t = np.clip(t / float((end - start) @ (end - start)), 0, 1)
    nearest = [s + t * (e - s) for s, e in zip(start, end, strict=True)]
    distance = np.sqrt(sum((a - p) ** 2 for a, p in zip((x, y, z), nearest, strict=True)))
    tube = Tube(tuple(start), tuple(end), (3.0, 1.5))
    assert np.allclose(tube.depth(x, y, z), 3.0 - 1.5 * t - distance, rtol=0, atol=1e-9)
