"""Uptake of regions: values worked out by hand, and no value where it cannot be known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.masks.measures import measures_of
from REACTKDLib.core.masks.regions import regions_of
from REACTKDLib.core.masks.uptake import PEAK_MM, sphere_weights, uptake_of
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import Modality
from support.small_cases import case_stored, placed, rigid, rotation, world

SHAPE = (20, 24, 28)


def case_with(unit: Unit, shift_mm: float = 0.0) -> Case:
    """A liver of uptake 2 with a lesion of 3 containing one voxel of 8; the PET has the CT's grid, shifted along R."""
    liver, tumor = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    liver[4:16, 4:20, 4:24] = True
    tumor[8:11, 8:11, 8:11] = True
    pet = np.full(SHAPE, 0.5, np.float32)
    pet[liver], pet[tumor], pet[9, 9, 9] = 2.0, 3.0, 8.0
    ct = Volume(np.zeros(SHAPE, np.int16), np.eye(4), Unit.HU)
    moved = np.eye(4)
    moved[0, 3] = shift_mm
    return Case("x", {Modality.CT: ct, Modality.ACETATE: Volume(pet, moved, unit)}, liver, tumor)


def sphere_case(ct_mm=(1.0, 1.0, 2.5), pet_mm=(3.0, 3.0, 4.0), turned=(0, 0, 0), turned_pet=(0, 0, 0)) -> Case:
    """A liver of SUV 2 with a ball (radius 30 mm, SUV 5) and an inner ball (12 mm, SUV 10); PET on its own grid."""
    ct_shape, pet_shape = (40, 90, 90), (30, 36, 36)
    center = np.array([3.0, -4.0, 5.0])
    ct_matrix = placed(ct_shape, ct_mm, center, rotation(turned))
    pet_matrix = placed(pet_shape, pet_mm, center + 0.3, rotation(turned_pet))
    from_center = np.linalg.norm(world(ct_shape, ct_matrix) - center, axis=-1)
    liver, tumor = from_center <= 44, from_center <= 30
    at = np.linalg.norm(world(pet_shape, pet_matrix) - center, axis=-1)
    pet = np.where(at <= 12, 10.0, np.where(at <= 30, 5.0, np.where(at <= 46, 2.0, 0.3)))
    volumes = {
        Modality.CT: Volume(np.zeros(ct_shape, np.int16), ct_matrix, Unit.HU),
        Modality.FDG: Volume(pet.astype(np.float32), pet_matrix, Unit.SUVBW),
    }
    return Case("ball", volumes, liver, tumor)


def entries(case: Case, pet: str = "fdg"):
    return uptake_of(case, regions_of(case))[pet]


@pytest.mark.parametrize("unit", [Unit.SUVBW, Unit.BQML])
def test_uptake_agrees_with_hand_worked_values(unit):
    case = case_with(unit)
    uptake = uptake_of(case, regions_of(case))
    liver, lesion = uptake["acetate"]
    assert list(uptake) == ["acetate"] and lesion.to_liver == 4.0
    assert (liver.suv_max, liver.suv_peak, liver.to_liver) == (None, None, None)
    if unit is Unit.BQML:
        assert liver.suv_mean is None and (lesion.suv_max, lesion.suv_mean) == (None, None)
    else:
        assert liver.suv_mean == 2.0 and lesion.suv_max == 8.0
        assert lesion.suv_mean == pytest.approx((26 * 3 + 8) / 27)
    assert lesion.suv_peak is None, "27 voxels of 1 mm are no milliliter"


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"turned": (20, -15, 30)},
        {"turned_pet": (-12, 25, 40)},
        {"ct_mm": (0.9, 1.1, 2.4), "pet_mm": (2.0, 2.5, 5.0), "turned": (8, 9, -10), "turned_pet": (30, 0, 5)},
    ],
)
def test_uptake_of_a_sphere_agrees_with_its_analytic_values(geometry):
    case = sphere_case(**geometry)
    liver, lesion = entries(case)
    assert liver.suv_mean == pytest.approx(2.0)
    assert lesion.suv_max == pytest.approx(10.0) and lesion.to_liver == pytest.approx(5.0)
    assert lesion.suv_mean == pytest.approx(5 + 5 * (12 / 30) ** 3, abs=0.1)
    assert lesion.suv_peak == pytest.approx(10.0), "the sphere of 6.2 mm fits into the inner ball of 12 mm"


def test_the_peak_of_one_hot_voxel_is_its_share_of_the_sphere():
    """A hot voxel of 4 x 4 x 4 mm lies entirely within the sphere; all other voxels are 1."""
    case = sphere_case(pet_mm=(4.0, 4.0, 4.0))
    pet = case.volumes[Modality.FDG]
    array = np.ones(pet.shape, np.float32)
    array[15, 18, 18] = 11.0
    hot = replace(case, volumes={**case.volumes, Modality.FDG: pet.with_array(array)})
    assert entries(hot)[1].suv_peak == pytest.approx(1 + 10 * 64 / 1000, abs=0.01)


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (2.0, 2.0, 5.0), (5.5, 5.5, 3.3), (1.2, 0.8, 6.0)])
def test_the_sphere_has_one_milliliter(spacing):
    assert 4 / 3 * np.pi * PEAK_MM**3 == pytest.approx(1000)
    weights = sphere_weights(np.diag([*spacing, 1.0]))
    assert weights.sum() == pytest.approx(1) and np.allclose(weights, weights[::-1, ::-1, ::-1])
    middle = tuple(n // 2 for n in weights.shape)
    if max(spacing) <= 4.0:  # entirely inside, so its weight is its volume
        assert weights[middle] == pytest.approx(np.prod(spacing) / 1000, rel=0.01)
    turned = np.eye(4)
    turned[:3, :3] = rotation((10, 20, 30)) * np.array(spacing)
    assert np.allclose(sphere_weights(turned), weights, atol=1e-3), "rotation must not change the weights"


def test_a_lesion_between_the_centers_of_the_pet_has_the_voxel_it_lies_in():
    case = sphere_case(pet_mm=(5.0, 5.0, 5.0))
    tumor = np.zeros(case.tumor.shape, bool)
    tumor[20, 46:48, 46:48] = True
    small = case.with_masks(tumor=tumor)
    lesion = entries(small)[1]
    pet = case.volumes[Modality.FDG]
    ras = case.reference.ijk_to_ras @ [46.4, 46.4, 20, 1]
    k, j, i = np.rint(np.linalg.solve(pet.ijk_to_ras, ras)[:3][::-1]).astype(int)
    assert lesion.suv_max == lesion.suv_mean == pet.array[k, j, i] and lesion.suv_peak is None


def test_storage_order_and_position_do_not_change_the_uptake():
    case = sphere_case(turned=(5, 6, 7))
    moved = case_stored(case, (2, 0, 1), (True, False, True), rigid((40, 10, -20), (15, -30, 7)))
    for a, b in zip(entries(case), entries(moved)):
        for name in ("suv_max", "suv_mean", "suv_peak", "to_liver"):
            one, other = getattr(a, name), getattr(b, name)
            assert one is other is None or one == pytest.approx(other, rel=0.01)


def test_the_liver_is_measured_away_from_lesions():
    """A halo of 100 within 3 mm of the lesion, as spill-over causes, does not raise the liver's uptake."""
    case = sphere_case(ct_mm=(1.0, 1.0, 1.0), pet_mm=(1.0, 1.0, 1.0))
    pet = case.volumes[Modality.FDG]
    at = np.linalg.norm(world(pet.shape, pet.ijk_to_ras) - [3.0, -4.0, 5.0], axis=-1)
    liver, tumor = np.zeros(case.liver.shape, bool), np.zeros(case.liver.shape, bool)
    from_center = np.linalg.norm(world(case.liver.shape, case.reference.ijk_to_ras) - [3.0, -4.0, 5.0], axis=-1)
    liver, tumor = from_center < 13.5, from_center < 8
    array = np.where(at < 10.4, 100.0, 2.0).astype(np.float32)
    halo = replace(case, liver=liver, tumor=tumor, volumes={**case.volumes, Modality.FDG: pet.with_array(array)})
    assert entries(halo)[0].suv_mean == pytest.approx(2.0)
    thin = replace(halo, liver=from_center < 9.5)
    assert entries(thin)[0].suv_mean == pytest.approx(100.0), "no liver is left beyond the margin"


def test_a_vessel_or_an_undrawn_lesion_does_not_change_the_liver_value():
    case = sphere_case()
    pet = case.volumes[Modality.FDG]
    array = pet.array.copy()
    array[:, 3:9, :][array[:, 3:9, :] == 2.0] = 9.0
    assert 0.1 < np.mean(array == 9.0) / np.mean(pet.array == 2.0) < 0.25
    other = replace(case, volumes={**case.volumes, Modality.FDG: pet.with_array(array)})
    assert entries(other)[0].suv_mean == pytest.approx(2.0)


def test_the_ratio_does_not_depend_on_the_scale():
    case = case_with(Unit.BQML)
    pet = case.volumes[Modality.ACETATE]
    larger = replace(case, volumes={**case.volumes, Modality.ACETATE: pet.with_array(pet.array * 1000)})
    assert entries(larger, "acetate")[1].to_liver == pytest.approx(4.0)


def test_an_unknown_unit_gives_no_suv():
    case = case_with(Unit.UNKNOWN)
    assert uptake_of(case, regions_of(case)) == {}


def test_a_lesion_partly_outside_the_pet_gives_no_value():
    liver, lesion = entries(case_with(Unit.SUVBW, shift_mm=15.0), "acetate")
    assert lesion is None and liver is None
    liver, lesion = entries(case_with(Unit.SUVBW, shift_mm=9.0), "acetate")
    assert lesion is None and liver is not None, "one of its three columns lies outside"
    assert entries(case_with(Unit.SUVBW, shift_mm=8.0), "acetate")[1] is not None


def test_a_unit_that_nothing_states_is_marked():
    case = case_with(Unit.SUVBW)
    pet = replace(case.volumes[Modality.ACETATE], unit_inferred=True)
    marked = replace(case, volumes={**case.volumes, Modality.ACETATE: pet})
    assert entries(marked, "acetate")[1].unit_inferred and not entries(case, "acetate")[1].unit_inferred


def test_only_what_was_edited_is_measured_again(monkeypatch):
    from REACTKDLib.core.masks import uptake

    case = sphere_case()
    more = case.tumor.copy()
    more[2:5, 40:45, 40:45] = True
    asked, level = [], uptake._level
    monkeypatch.setattr(uptake, "_level", lambda *given: asked.append(given[2].name) or level(*given))
    memo = Memo()
    first = measures_of(case, regions_of(case), memo)
    edited = case.with_masks(liver=case.liver | more, tumor=more)
    second = measures_of(edited, regions_of(edited), memo)
    assert asked == ["Lesion 1", "Lesion 2"] and first[1] == second[1]
    assert second == measures_of(edited, regions_of(edited)), "the cache must not change the result"
