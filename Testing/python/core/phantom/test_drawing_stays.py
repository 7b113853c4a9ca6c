"""Phantoms stay the same when drawing gets faster: trainings and tables were made from them.

`stored_phantoms.json` holds ten: some of the first edition, stored on 28 November 2026 before the second existed, some
of the second before it was sped up. With the NumPy of `requirements-dev.txt` and AVX2 they are reproduced bit by bit;
with other instruction sets or NumPy versions up to rounding.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.phantom import draw_patient
from REACTKDLib.core.phantom.fields import ct_field, empty_mask, masks
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.frame import meet
from REACTKDLib.core.phantom.organs.grid_solid import GridSolid
from REACTKDLib.core.phantom.organs.painter import Painter
from REACTKDLib.core.phantom.patient import BIOLOGIES
from REACTKDLib.core.phantom.shapes import Tube, smooth_union
from support.drawn_phantoms import drawn, marks
from support.fixed_processor import avx2_environment

FILE = Path(__file__).with_name("stored_phantoms.json")
STORED = json.loads(FILE.read_text(encoding="utf-8"))
REQUIREMENTS = Path(__file__).parents[4] / "requirements-dev.txt"
PINNED = REQUIREMENTS.read_text(encoding="utf-8").split("numpy==")[1].split(";")[0]
#: tolerance of each mark: one voxel in 10,000 may round to another HU, or one voxel of a mask may flip
CLOSE = {"ct": 0.05, "fdg": 1e-4, "acetate": 1e-4, "liver": 0.01, "tumor": 0.01}


def name_of(stored: dict) -> str:
    return "-".join(str(stored[key]) for key in ("biology", "size", "seed", "cohort"))


@pytest.mark.parametrize("stored", STORED, ids=name_of)
def test_seeds_give_the_recorded_cases(stored):
    found = marks(drawn(stored))
    assert found.keys() == stored["marks"].keys()
    for name, values in stored["marks"].items():
        assert found[name] == pytest.approx(values, rel=1e-6, abs=CLOSE.get(name, 1e-5)), name


@cache
def digests() -> list[str]:
    """The digests of all stored phantoms, computed by a process with AVX2."""
    run = [sys.executable, "-m", "support.drawn_phantoms", str(FILE)]
    return json.loads(subprocess.run(run, env=avx2_environment(), check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(avx2_environment() is None, reason="this processor has no AVX2")
@pytest.mark.skipif(np.__version__ != PINNED, reason=f"the bits are those of NumPy {PINNED}")
@pytest.mark.parametrize("number", range(len(STORED)), ids=[name_of(one) for one in STORED])
def test_seeds_give_the_same_bits_with_the_same_instructions(number):
    assert digests()[number] == STORED[number]["sha256"]


def test_a_solid_in_pieces_is_the_solid():
    """The boxes are disjoint; inside each the depth is exact, outside all of them it is below the limit."""
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


@pytest.mark.parametrize("biology", BIOLOGIES)
@pytest.mark.parametrize("step", (1.7, 6.0))
def test_the_liver_marked_while_painting_is_that_of_the_mask(biology, step):
    """Also where the lattice cuts it; the lesions are added to the marked one."""
    patient = draw_patient(31, biology=biology)
    low, high = patient.liver.bounds()
    n = np.ceil((high - low - (-20, 40, -20)) / step).astype(int)
    lattice = Lattice.regular(low - (10, -40, 10), np.full(3, step), tuple(n[::-1].tolist()))
    marked = empty_mask(lattice)
    field = ct_field(patient, lattice, liver=marked)
    assert np.array_equal(field, ct_field(patient, lattice))
    inside = patient.liver.depth(*lattice.coordinates((slice(None),) * 3)) > 0
    assert np.array_equal(marked, inside) and inside[:, 0].any() and not inside.all()
    whole, tumor = masks(patient, lattice, marked)
    assert np.array_equal(whole, inside | tumor) and tumor.any() and not tumor.all()
    for found, alone in zip((whole, tumor), masks(patient, lattice), strict=True):
        assert np.array_equal(found, alone) and found.strides == alone.strides


def test_an_intersection_is_the_union_of_what_is_outside():
    a, b = np.random.default_rng(4).normal(0, 30, (2, 40_000)).astype(np.float32)
    for blend in (4.0, 12.0, 50.0):
        found = meet(a, b, blend)
        assert found.dtype == np.float32 and np.array_equal(found, -smooth_union(-a, -b, blend))
        far = np.abs(a - b) > blend
        assert np.allclose(found[far], np.minimum(a, b)[far], atol=1e-4) and (found <= np.minimum(a, b) + 1e-4).all()


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


def test_tubes_painted_together_are_those_painted_one_by_one():
    """Also tubes that cross, that are outside the lattice, that lie along an axis, and that have no length."""
    rng = np.random.default_rng(3)
    ends = rng.uniform(-30, 30, (160, 3))
    steps = rng.normal(size=(160, 3)) * 7
    steps[::5, rng.integers(3)] = 0
    steps[3] = 0
    tubes = [
        Tube(tuple(a), tuple(a + s), tuple(r))
        for a, s, r in zip(ends.tolist(), steps, rng.uniform(0.6, 4, (160, 2)).tolist(), strict=True)
    ]
    for spacing, edge_mm in (((0.7, 0.8, 2.5), 0.9), ((4.0, 4.2, 3.4), 4.0)):
        lattice = Lattice.regular(np.array([-20.0, -24.0, -26.0]), np.array(spacing), (14, 41, 53))
        field = rng.normal(size=lattice.shape).astype(np.float32)
        within = rng.uniform(0, 1, lattice.shape).astype(np.float32)
        one, all_ = (Painter(field.copy(), lattice, edge_mm) for _ in range(2))
        for tube in tubes:
            box = (slice(None),) * 3
            one.put(box, one.soft(tube.depth(*lattice.coordinates(box))) * within, "blood", np.float32(75.0))
        all_.tubes(tubes, "blood", 75.0, within)
        assert np.array_equal(one.field, all_.field) and not np.array_equal(one.field, field)
        all_.tubes([], "blood", 75.0)
        assert np.array_equal(one.field, all_.field)
