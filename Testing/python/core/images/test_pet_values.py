"""Which arrays are accepted as a PET, and in which unit."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import NotPet
from REACTKDLib.core.images.pet_values import check_pet, infer_pet_unit, unit_from_fields
from REACTKDLib.core.images.volume import Unit

RNG = np.random.default_rng(5)
UPTAKE = RNG.gamma(2.0, 0.8, (20, 30, 30)) * (RNG.random((20, 30, 30)) < 0.4)
OTHERS = ("kBq/ml", "kBqml", "MBqml", "SUVlbm", "SUV_bsa", "SUV ibw", "cm2/ml", "CNTS", "nBq/ml")


@pytest.mark.parametrize(("factor", "unit"), [(1, Unit.SUVBW), (2000, Unit.BQML), (1e6, Unit.BQML), (40, Unit.UNKNOWN)])
def test_unit_by_values(factor, unit):
    assert infer_pet_unit(UPTAKE * factor) is unit


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({"Units": "GML"}, Unit.SUVBW),
        ({"voxel_value_units": "{SUVbw}g/ml"}, Unit.SUVBW),
        ({"units": "BQML"}, Unit.BQML),
        ({"Units": "SUV bw"}, Unit.SUVBW),
        ({"units": "Bq/mL"}, Unit.BQML),
        *(({"Units": other}, Unit.UNKNOWN) for other in OTHERS),
        ({"Comment": "BQML"}, None),
        ({"space units": '"mm" "mm" "mm"'}, None),
        ({"Units": "unknown"}, None),
        ({}, None),
    ],
)
def test_unit_by_header(fields, unit):
    assert unit_from_fields(fields) is unit


@pytest.mark.parametrize("other", OTHERS)
def test_a_unit_that_is_stated_but_not_ours_is_not_guessed_from_the_values(other):
    assert infer_pet_unit(UPTAKE, {"Units": other}) is Unit.UNKNOWN


def test_header_wins_over_values():
    assert infer_pet_unit(UPTAKE, {"Units": "BQML"}) is Unit.BQML


def test_noise_below_zero_is_a_pet():
    check_pet(UPTAKE + 0.02 * RNG.standard_normal(UPTAKE.shape))


@pytest.mark.parametrize(
    "array", [np.zeros((4, 5, 6)), np.full((4, 5, 6), 3.0), -UPTAKE, RNG.normal(0, 400, (9, 9, 9))]
)
def test_no_pet(array):
    with pytest.raises(NotPet):
        check_pet(array)
