"""The body of the second edition: organs in their places, without overlap, independent of the grade."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom import acquire, draw_patient
from REACTKDLib.core.phantom.ct_scanner import CtProtocol, scan_slices
from REACTKDLib.core.phantom.fields import ct_field, masks, pet_field
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.grid_solid import FAR_MM, GridSolid

NAMES = {
    "aorta", "vena cava", "muscles", "right kidney", "left kidney", "gallbladder", "portal vein", "esophagus", "heart",
    "right adrenal", "left adrenal", "spleen", "pancreas", "stomach", "duodenum", "colon",
}  # fmt: skip
GRID = Lattice.regular(np.array([-160.0, -125.0, -150.0]), np.full(3, 2.5), (106, 100, 128))


def inside(solid) -> np.ndarray:
    """Where a solid is, on `GRID`."""
    found, box = np.zeros(GRID.shape, dtype=bool), GRID.box(*solid.bounds())
    if box is not None:
        found[box] = solid.depth(*GRID.coordinates(box)) > 0
    return found


@pytest.fixture(scope="module", params=range(3))
def patient(request):
    return draw_patient(request.param)


@pytest.fixture(scope="module")
def organs(patient):
    return {part.name: inside(part.solid) for part in patient.anatomy.parts} | {"liver": inside(patient.liver)}


def test_no_organ_overlaps_another(organs):
    assert NAMES <= set(organs) - {"liver"}
    assert sum(organ.astype(int) for organ in organs.values()).max() == 1


def test_organs_lie_where_they_belong(organs):
    """x to the patient's right, y to the front, z up; sizes in ml."""
    middle, ml = {}, {}
    for name in NAMES | {"liver"}:
        organ = organs[name]
        z, y, x = np.nonzero(organ)
        middle[name], ml[name] = (GRID.x[x].mean(), GRID.y[y].mean(), GRID.z[z].mean()), len(x) * 2.5**3 / 1000
    x, y, z = ({name: place[axis] for name, place in middle.items()} for axis in range(3))
    assert x["liver"] > 30 and x["right kidney"] > 40 > 0 > -40 > x["left kidney"] and x["gallbladder"] > 20
    assert x["spleen"] < -60 and x["stomach"] < -10 and -25 < x["aorta"] < 5 < x["vena cava"]
    assert y["aorta"] > y["muscles"] and y["pancreas"] > y["aorta"] and y["stomach"] > y["left kidney"]
    assert z["heart"] > z["liver"] > z["right kidney"] and z["spleen"] > z["left kidney"]
    assert 900 < ml["liver"] < 2300
    assert all(0 < middle[name][0] * side for name, side in (("right adrenal", 1), ("left adrenal", -1)))
    for name, low, high in (
        ("right kidney", 80, 250),
        ("spleen", 70, 450),
        ("pancreas", 25, 130),
        ("gallbladder", 4, 45),
    ):
        assert low < ml[name] < high, (name, ml[name])


def test_the_liver_is_one_piece_with_vessels_inside(patient, organs):
    assert label(organs["liver"], np.ones((3, 3, 3)))[1] == 1
    starts = np.array([tube.start for tube in patient.liver.vessels])
    assert len(starts) > 60 and (patient.liver.depth(*starts.T) > -2).mean() > 0.9


def test_the_aorta_is_20_to_25_mm_wide(organs):
    areas = organs["aorta"][40:100:10].reshape(6, -1).sum(axis=1) * 2.5**2
    assert 17 < 2 * np.sqrt(np.median(areas) / np.pi) < 27  # in one slice: branches and voxel size add a little


def test_nothing_depends_on_the_grade():
    well, poor = draw_patient(5, "well"), draw_patient(5, "poor")
    for a, b in zip(well.anatomy.parts, poor.anatomy.parts, strict=True):
        assert (a.name, a.hu, a.layers[:1] and a.layers[0].hu) == (b.name, b.hu, b.layers[:1] and b.layers[0].hu)
        assert np.array_equal(a.solid.values, b.solid.values)
    assert np.array_equal(well.liver.solid.values, poor.liver.solid.values)
    assert well.liver.vessels == poor.liver.vessels and np.array_equal(
        well.anatomy.trunk.scale, poor.anatomy.trunk.scale
    )
    assert well.anatomy.trunk.waves == poor.anatomy.trunk.waves and well.anatomy.skeleton == poor.anatomy.skeleton


def test_ct_shows_tissues(patient, organs):
    ct = ct_field(patient, GRID)
    _, tumor = masks(patient, GRID)
    spared = organs["liver"] & ~tumor
    assert abs(np.median(ct[spared]) - patient.liver_hu) < 3
    assert 100 < np.median(ct[organs["spleen"]]) < 140 < np.median(ct[organs["right kidney"]]) < 210
    assert np.median(ct[organs["gallbladder"]]) < 40 and np.median(ct[organs["muscles"]]) < 70
    assert (ct < -900).mean() > 0.02 and ((ct > -870) & (ct < -800)).mean() > 0.01  # air and lung
    assert (ct > 300).mean() > 0.003  # bone
    assert ((ct > -115) & (ct < -95)).mean() > 0.1  # fat


def test_pet_shows_uptake(patient, organs):
    fdg, acetate = (pet_field(patient, GRID, t) / suv for t, suv in zip(("fdg", "acetate"), patient.liver_suv))
    assert np.median(fdg[organs["left kidney"]]) > 1.2 and np.median(fdg[organs["heart"]]) > 0.7
    assert np.median(acetate[organs["pancreas"]]) > 1.2 > 0.8 > np.median(fdg[organs["pancreas"]])
    assert np.median(acetate[organs["spleen"]]) > np.median(fdg[organs["spleen"]])
    _, tumor = masks(patient, GRID)
    assert np.median(fdg[organs["liver"] & ~tumor]) == pytest.approx(1, abs=0.02)


def test_a_solid_is_linear_between_the_points_of_its_grid():
    own = Lattice.regular(np.zeros(3), np.full(3, 4.0), (3, 3, 3))
    values = np.random.default_rng(0).normal(size=(3, 3, 3)).astype(np.float32)
    solid = GridSolid(own, values)
    x, y, z = np.array([[[1.0, 9.0]]]), np.array([[[2.0]]]), np.array([[[4.0]]])
    by_hand = values[1, :2, :2].mean(axis=0) @ [0.75, 0.25]
    found = solid.depth(x, y, z)
    assert found.shape == (1, 1, 2) and found[0, 0, 0] == pytest.approx(by_hand, abs=1e-5) and found[0, 0, 1] == FAR_MM
    assert solid.depth(np.array([1.0]), np.array([2.0]), np.array([4.0]))[0] == pytest.approx(by_hand, abs=1e-5)


def test_noise_has_the_protocols_size_and_width_and_slices_are_averaged():
    lattice = Lattice.regular(np.zeros(3), np.array([0.8, 0.8, 2.5]), (6, 200, 200))
    protocol = CtProtocol(0.8, 2.5, 200, noise_hu=12.0, kernel_mm=0.75, padded=False)

    def scanned(field, protocol):
        return np.stack([own.copy() for own in scan_slices(field, lattice, protocol, np.random.default_rng(0))])

    noise = scanned(np.zeros(lattice.shape, np.float32), protocol)
    assert noise.std() == pytest.approx(12.0, rel=0.02)
    along = (noise[:, :, 1:] * noise[:, :, :-1]).mean() / noise.var()
    gaussian = np.exp(-((0.8 / 0.75) ** 2) / 4)  # autocorrelation of noise smoothed by a Gaussian of 0.75 mm
    assert along == pytest.approx(gaussian, abs=0.05)
    assert abs((noise[1:] * noise[:-1]).mean()) / noise.var() < 0.02
    step = np.zeros(lattice.shape, np.float32)
    step[3:] = 24.0
    quiet = CtProtocol(0.8, 2.5, 200, 0.0, 0.75, False)
    assert scanned(step, quiet)[:, 5, 5].tolist() == [0, 0, 1, 23, 24, 24]


def test_a_case_is_bit_equal_on_repeat():
    a, b = (acquire(draw_patient(9), "tiny").case for _ in range(2))
    assert all(np.array_equal(a.volumes[m].array, b.volumes[m].array) for m in Modality)
    assert np.array_equal(a.liver, b.liver) and np.array_equal(a.tumor, b.tumor)
