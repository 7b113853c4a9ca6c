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
def test_the_unit_is_inferred_from_the_values(factor, unit):
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
def test_the_unit_is_read_from_the_header(fields, unit):
    assert unit_from_fields(fields) is unit


@pytest.mark.parametrize("other", OTHERS)
def test_an_unsupported_stated_unit_is_not_replaced_by_a_guess(other):
    assert infer_pet_unit(UPTAKE, {"Units": other}) is Unit.UNKNOWN


def test_the_header_has_priority_over_the_values():
    assert infer_pet_unit(UPTAKE, {"Units": "BQML"}) is Unit.BQML


def test_negative_noise_is_accepted_in_a_pet():
    check_pet(UPTAKE + 0.02 * RNG.standard_normal(UPTAKE.shape))


@pytest.mark.parametrize(
    "array", [np.zeros((4, 5, 6)), np.full((4, 5, 6), 3.0), -UPTAKE, RNG.normal(0, 400, (9, 9, 9))]
)
def test_arrays_that_are_not_uptake_are_refused(array):
    with pytest.raises(NotPet):
        check_pet(array)
