"""The findings about a case, and the conditions for each."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from REACTKDLib.core import errors
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import mask_on_grid
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.masks.checks import MASK_FINDINGS, checked, foresee, rechecked
from REACTKDLib.core.masks.ct_checks import check_spacing
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom.acquire import acquire
from REACTKDLib.core.phantom.patient import draw_patient
from support.small_cases import small_case

# A small case has coarse voxels; these findings apply to all of them.
ALWAYS = {"coarse-pixels"}


@cache
def small_phantom(seed: int) -> Case:
    return acquire(draw_patient(seed), size="small").case


def codes(case: Case) -> list[str]:
    return [finding.code for finding in case.findings]


def said(case: Case, code: str):
    found = [finding for finding in case.findings if finding.code == code]
    assert found, codes(case)
    return found[0]


def with_volume(case: Case, modality: Modality, **changes) -> Case:
    return replace(case, volumes={**case.volumes, modality: replace(case.volumes[modality], **changes)})


@pytest.fixture(scope="module")
def phantom() -> Case:
    """A tiny digital patient."""
    return acquire(draw_patient(4, grade="moderate", biology="independent"), size="tiny").case


def test_a_regular_case_has_no_finding():
    assert set(codes(checked(small_case()))) <= ALWAYS


def test_findings_are_json_and_sentences():
    case = checked(small_case(lesions=(((40.0, 0.0, 0.0), 2.0),), shift=(60.0, 0.0, 0.0)))
    assert len(case.findings) > 2
    for finding in case.findings:
        json.dumps(finding.to_dict(), allow_nan=False)
        assert finding.message[0].isupper() or finding.message[0].isdigit()
        assert finding.message.endswith(".")
        assert "\n" not in finding.message


def test_a_large_volume_in_a_message_is_written_out():
    """Masks often exclude each other: a tumor of 155 ml was "1.6e+02 ml of tumor"."""
    case = small_case(lesions=(((0.0, 0.0, 0.0), 33.5),))
    volume = np.count_nonzero(case.tumor) * abs(np.linalg.det(case.reference.ijk_to_ras[:3, :3])) / 1000
    finding = said(checked(case.with_masks(liver=case.liver & ~case.tumor)), "tumor-added-to-liver")
    assert 150 < volume < 165 and finding.message.startswith(f"{volume:.0f} ml of tumor")
    (coarse,) = foresee(checked(small_case(lesions=(((0.0, 0.0, 0.0), 8.0),))), 12.0)
    assert coarse.code == "low-resolution" and "e+" not in coarse.message


def test_a_case_without_lesion_is_reported_before_grading():
    case = checked(small_case(lesions=()))
    assert [finding.code for finding in foresee(case)] == ["no-lesion"]
    assert "no-lesion" not in codes(case)  # that finding is the grader's
    assert foresee(checked(small_case())) == ()


def test_a_lesion_of_one_voxel_is_reported_with_its_position():
    case = small_case(lesions=())
    tumor = np.zeros_like(case.tumor)
    tumor[18, 20, 22] = True
    matrix = case.reference.ijk_to_ras
    finding = said(checked(case.with_masks(tumor=tumor)), "one-voxel-lesion")
    assert finding.location_ras == pytest.approx((matrix @ [22, 20, 18, 1])[:3])


@pytest.mark.parametrize(("cell_mm", "low"), [(2.5, False), (10.0, True)])
def test_low_resolution_follows_the_grid(cell_mm, low):
    case = checked(small_case(lesions=(((25.0, 5.0, -5.0), 9.0),)))
    assert [finding.code for finding in foresee(case, cell_mm)] == ["low-resolution"] * low


@pytest.mark.parametrize(
    ("shift", "side"),
    [((60, 0, 0), "left"), ((-60, 0, 0), "right"), ((0, 60, 0), "back"), ((0, -60, 0), "front"),
     ((0, 0, 60), "lower end"), ((0, 0, -60), "upper end")],
)  # fmt: skip
def test_liver_cut_by_the_field_of_view(shift, side):
    finding = said(checked(small_case(lesions=(), modalities=[Modality.CT], shift=shift)), "liver-cut")
    assert f"cut at the {side} of" in finding.message
    axis = int(np.argmax(np.abs(shift)))
    field = small_case(lesions=(), modalities=[Modality.CT], shift=shift).reference
    center = field.ijk_to_ras @ [*(np.array(field.shape[::-1]) - 1) / 2, 1]
    assert np.sign((np.array(finding.location_ras) - center[:3])[axis]) == -np.sign(shift[axis])


def test_an_implausible_liver_volume_is_reported():
    case = small_case(modalities=[Modality.CT])
    volume = case.reference
    grown = replace(volume, ijk_to_ras=volume.ijk_to_ras @ np.diag([2.5, 2.5, 2.5, 1.0]))
    assert "large" in said(checked(replace(case, volumes={Modality.CT: grown})), "liver-volume").message
    shrunk = replace(volume, ijk_to_ras=volume.ijk_to_ras @ np.diag([0.5, 0.5, 0.5, 1.0]))
    assert "small" in said(checked(replace(case, volumes={Modality.CT: shrunk})), "liver-volume").message


def test_a_mask_beside_the_liver_is_reported():
    case = small_case(modalities=[Modality.CT])
    array = np.where(case.liver, -80.0, case.reference.array)
    moved = with_volume(case, Modality.CT, array=array)
    assert "-80 HU" in said(checked(moved), "liver-not-tissue").message


@pytest.mark.parametrize("mm", [[0, 0, 30], [0, 0, -30], [30, 0, 0], [-30, 0, 0], [0, 30, 0], [0, -30, 0]])
@pytest.mark.parametrize("seed", [1, 2])
def test_masks_that_lie_a_few_centimeters_beside_the_liver_are_reported(seed, mm):
    """Most of the mask still lies on soft tissue, so that its median stays that of a liver."""
    case = small_phantom(seed)
    ct = case.volumes[Modality.CT]
    assert "liver-not-tissue" not in codes(checked(replace(case, volumes={Modality.CT: ct})))
    noise = np.random.default_rng(seed).normal(0, 70, ct.shape)  # a low dose
    noisy = ct.with_array((ct.array + noise).astype(np.float32))
    assert "liver-not-tissue" not in codes(checked(replace(case, volumes={Modality.CT: noisy})))
    matrix = ct.ijk_to_ras.copy()
    matrix[:3, 3] += mm
    grid = Grid(ct.shape, matrix)
    moved = replace(case, volumes={Modality.CT: ct}).with_masks(
        *(mask_on_grid(mask, ct.ijk_to_ras, grid) for mask in (case.liver, case.tumor))
    )
    assert "% of the liver mask" in said(checked(moved), "liver-not-tissue").message


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_exchanged_masks_are_reported(seed):
    case = acquire(draw_patient(seed), size="tiny").case
    assert "masks-exchanged" not in codes(checked(case))
    rest = case.liver & ~case.tumor
    exchanged = case.with_masks(case.tumor, rest)
    if rest.sum() < case.tumor.sum():
        pytest.skip("most of this liver is tumor")
    found = said(checked(exchanged), "masks-exchanged")
    assert found.severity == "warning" and "exchanged" in found.message
    mended = rechecked(checked(exchanged), case.liver, case.tumor)
    assert "masks-exchanged" not in codes(mended)


def test_a_mirrored_patient_is_reported(phantom):
    assert "liver-on-left" not in codes(checked(phantom))
    ct = phantom.volumes[Modality.CT]
    mirrored = replace(ct, array=ct.array[:, :, ::-1])
    case = Case("m", {Modality.CT: mirrored}, phantom.liver[:, :, ::-1], phantom.tumor[:, :, ::-1])
    assert "liver-on-left" in codes(checked(case))


def test_thick_slices_and_lost_geometry(phantom):
    assert "thick-slices" in codes(checked(phantom))
    case = small_case(modalities=[Modality.CT])
    assert "thick-slices" not in codes(checked(case))
    lost = replace(case.reference, ijk_to_ras=np.eye(4))
    assert [finding.code for finding in check_spacing(lost, Modality.CT)] == ["no-geometry"]


def test_pet_partly_and_wholly_outside():
    case = small_case()
    matrix = case.volumes[Modality.FDG].ijk_to_ras.copy()
    matrix[2, 3] += 70
    finding = said(checked(with_volume(case, Modality.FDG, ijk_to_ras=matrix)), "pet-partly-outside")
    assert finding.message.startswith("The FDG PET covers")
    matrix[2, 3] += 900
    with pytest.raises(errors.PetOffLiver, match="The FDG PET does not overlap the liver"):
        checked(with_volume(case, Modality.FDG, ijk_to_ras=matrix))


@pytest.mark.parametrize(("unit", "words"), [(Unit.BQML, "in Bq/ml"), (Unit.UNKNOWN, "in an unknown unit")])
def test_pet_that_is_not_suv(unit, words):
    case = with_volume(small_case(), Modality.ACETATE, unit=unit)
    assert words in said(checked(case), "pet-not-suv").message


@pytest.mark.parametrize("seed", range(6))
def test_exchanged_tracers_are_reported(seed):
    case = acquire(draw_patient(seed, biology="independent"), size="tiny").case
    assert "tracers-maybe-swapped" not in codes(checked(case))
    fdg, acetate = case.volumes[Modality.FDG], case.volumes[Modality.ACETATE]
    swapped = replace(case, volumes={**case.volumes, Modality.FDG: acetate, Modality.ACETATE: fdg})
    assert "tracers-maybe-swapped" in codes(checked(swapped))
    scaled = replace(acetate, array=acetate.array * 3000)  # the unit does not matter
    assert "tracers-maybe-swapped" in codes(
        checked(replace(swapped, volumes={**swapped.volumes, Modality.FDG: scaled}))
    )


def test_the_same_pet_given_twice_is_reported():
    case = small_case()
    twice = with_volume(case, Modality.ACETATE, array=case.volumes[Modality.FDG].array)
    assert "same-pet-twice" in codes(checked(twice))


def test_an_edit_updates_findings_that_depend_on_masks():
    speck = small_case().tumor.copy()
    speck[18, 8, 22] = True
    case = with_volume(small_case().with_masks(tumor=speck), Modality.FDG, unit=Unit.BQML)
    before = checked(case)
    assert {"one-voxel-lesion", "pet-not-suv"} <= set(codes(before))
    after = rechecked(before, None, small_case().tumor)
    assert "one-voxel-lesion" not in codes(after)
    assert "pet-not-suv" in codes(after)
    fresh = checked(case.with_masks(tumor=small_case().tumor))
    assert sorted(codes(after)) == sorted(codes(fresh))
    assert {code for code in codes(fresh) if code not in MASK_FINDINGS} == {"pet-not-suv", *ALWAYS}


def test_an_edit_updates_findings_on_images_inside_the_masks():
    """Findings about a misplaced mask disappear when it is corrected, and appear when a mask is moved there."""
    case = small_case()
    elsewhere = np.roll(case.liver, 12, axis=2)  # three quarters of it outside the organ
    air = np.where(case.liver, case.reference.array, -900.0).astype(np.float32)
    matrix = case.volumes[Modality.FDG].ijk_to_ras.copy()
    matrix[0, 3] += 45
    case = with_volume(with_volume(case, Modality.CT, array=air), Modality.FDG, ijk_to_ras=matrix)
    places = {"right": (case.liver, case.tumor), "wrong": (elsewhere, elsewhere & case.tumor)}
    fresh = {name: checked(case.with_masks(*masks)) for name, masks in places.items()}
    assert "liver-not-tissue" in set(codes(fresh["wrong"])) - set(codes(fresh["right"]))
    memo = Memo()
    for before, after in (("right", "wrong"), ("wrong", "right"), ("right", "right")):
        edited = rechecked(fresh[before], *places[after], memo)
        assert told(edited) == told(fresh[after])


def test_an_edit_updates_the_finding_on_exchanged_tracers():
    case = small_case()
    acetate, organ = case.volumes[Modality.ACETATE], Grid(case.liver.shape, case.reference.ijk_to_ras)
    lying = mask_on_grid(case.liver, organ.ijk_to_ras, Grid(acetate.shape, acetate.ijk_to_ras))
    for tracer, factor in ((Modality.FDG, 3.0), (Modality.ACETATE, 0.3)):
        array = case.volumes[tracer].array
        case = with_volume(case, tracer, array=np.where(lying, factor * array, array).astype(np.float32))
    corner = np.zeros_like(case.liver)
    corner[14:22, 2:10, 2:10] = True
    memo = Memo()
    swapped = checked(case)
    assert "tracers-maybe-swapped" in codes(swapped)
    for liver, tumor in ((corner, np.zeros_like(corner)), (case.liver, case.tumor)):
        edited = rechecked(swapped, liver, tumor, memo)
        assert told(edited) == told(checked(case.with_masks(liver, tumor)))


def told(case: Case) -> list[str]:
    """The finding messages of a case, sorted."""
    return sorted(str(finding.message) for finding in case.findings)
