"""Uptake of regions: medians, maxima and ratios that are known, and nothing claimed where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.masks.regions import regions_of
from REACTKDLib.core.masks.uptake import uptake_of
from REACTKDLib.core.modality import Modality

SHAPE = (20, 24, 28)


def case_with(unit: Unit, shift_mm: float = 0.0) -> Case:
    """A liver of 2 with one lesion of 3 that has a voxel of 8, read by a PET on the same grid, moved along R."""
    liver, tumor = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    liver[4:16, 4:20, 4:24] = True
    tumor[8:11, 8:11, 8:11] = True
    pet = np.full(SHAPE, 0.5, np.float32)
    pet[liver], pet[tumor], pet[9, 9, 9] = 2.0, 3.0, 8.0
    ct = Volume(np.zeros(SHAPE, np.int16), np.eye(4), Unit.HU)
    moved = np.eye(4)
    moved[0, 3] = shift_mm
    return Case("x", {Modality.CT: ct, Modality.ACETATE: Volume(pet, moved, unit)}, liver, tumor)


@pytest.mark.parametrize("unit", [Unit.SUVBW, Unit.BQML])
def test_known_values(unit):
    case = case_with(unit)
    uptake = uptake_of(case, regions_of(case))
    liver, lesion = uptake["acetate"]
    assert list(uptake) == ["acetate"] and liver.unit == unit.value
    assert (liver.median, liver.ratio) == (2.0, None)
    assert (lesion.median, lesion.maximum, lesion.ratio) == (3.0, 8.0, 4.0)


def test_the_ratio_does_not_depend_on_the_scale():
    case = case_with(Unit.BQML)
    pet = case.volumes[Modality.ACETATE]
    larger = replace(case, volumes={**case.volumes, Modality.ACETATE: pet.with_array(pet.array * 1000)})
    assert uptake_of(larger, regions_of(case))["acetate"][1].ratio == pytest.approx(4.0)


def test_nothing_is_claimed_of_an_unknown_unit():
    case = case_with(Unit.UNKNOWN)
    assert uptake_of(case, regions_of(case)) == {}


def test_nothing_is_claimed_of_a_lesion_that_the_pet_does_not_see():
    case = case_with(Unit.SUVBW, shift_mm=15.0)
    liver, lesion = uptake_of(case, regions_of(case))["acetate"]
    assert lesion is None and liver is None
    case = case_with(Unit.SUVBW, shift_mm=11.0)
    liver, lesion = uptake_of(case, regions_of(case))["acetate"]
    assert lesion is None and liver is not None
