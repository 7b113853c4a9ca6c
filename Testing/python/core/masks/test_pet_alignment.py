"""A PET that lies elsewhere than its CT is reported, and one that only differs as two scans of a patient do is not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks import pet_alignment
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.masks.pet_alignment import check_alignment
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom.acquire import acquire
from REACTKDLib.core.phantom.patient import draw_patient
from support.real_data import real_data

TRACERS = (Modality.FDG, Modality.ACETATE)


@cache
def phantom(seed: int):
    return acquire(draw_patient(seed, biology="shared"), size="small").case


@cache
def patient() -> dict[Modality, Volume]:
    """The chest and abdomen of a patient, CT and FDG PET of one scanner."""
    folder = real_data("acrin_nsclc_042")
    return {
        Modality.CT: read_volume(folder / "CT.nii.gz", Modality.CT),
        Modality.FDG: read_volume(folder / "PET_BQML.nii.gz", Modality.FDG),
    }


def shifted(volume: Volume, mm) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += mm
    return replace(volume, ijk_to_ras=matrix)


def cropped(volume: Volume, *box: slice) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ [part.start for part in box[::-1]]
    return replace(volume, array=volume.array[box], ijk_to_ras=matrix)


def with_pets(volumes, change) -> dict[Modality, Volume]:
    return {m: volume if m is Modality.CT else change(volume) for m, volume in volumes.items()}


def codes(volumes) -> list[str]:
    return [finding.code for finding in check_alignment(volumes)]


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_pet_at_its_place_is_not_reported(seed):
    case = phantom(seed)
    assert codes(case.volumes) == []
    for mm in ([0, 0, 15], [10, -10, 0]):  # breathing, a patient who moved
        assert codes(with_pets(case.volumes, lambda pet, mm=mm: shifted(pet, mm))) == []
    noise = np.random.default_rng(seed)
    noisy = with_pets(
        case.volumes,
        lambda pet: pet.with_array(pet.array + noise.normal(0, 0.2, pet.shape).astype(np.float32) * pet.array.mean()),
    )
    assert codes(noisy) == []


@pytest.mark.parametrize(
    ("mm", "side"),
    [
        ([0, 0, 40], "head"), ([0, 0, -40], "feet"), ([60, 0, 0], "right"), ([-60, 0, 0], "left"),
        ([0, 50, 0], "front"), ([0, -50, 0], "back"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", [1, 4, 5])
def test_a_pet_shifted_by_some_centimeters_is_reported_with_its_direction(seed, mm, side):
    found = check_alignment(with_pets(phantom(seed).volumes, lambda pet: shifted(pet, mm)))
    assert [finding.code for finding in found] == ["pet-shifted"] * 2
    assert all(finding.severity == "warning" and side in finding.message for finding in found)


def test_the_finding_is_in_a_checked_case_and_does_not_depend_on_axes_or_units():
    case = phantom(2)
    far = with_pets(case.volumes, lambda pet: shifted(pet, [0, 0, 60]))
    assert [f.code for f in checked(replace(case, volumes=far)).findings].count("pet-shifted") == 2

    def other_storage(pet: Volume) -> Volume:
        matrix = pet.ijk_to_ras.copy()
        matrix[:3, 3] += matrix[:3, 2] * (pet.shape[0] - 1)
        matrix[:3, 2] *= -1
        return replace(pet, array=pet.array[::-1] * np.float32(4000), ijk_to_ras=matrix)

    assert codes(with_pets(far, other_storage)) == codes(far)
    assert codes(with_pets(case.volumes, other_storage)) == []
    assert codes({m: volume for m, volume in far.items() if m is not Modality.CT}) == []


@pytest.mark.parametrize("seed", [1, 3])
def test_a_crop_around_the_liver_is_not_reported(seed):
    case = phantom(seed)
    box = tuple(slice(max(0, int(a.min()) - 2), int(a.max()) + 3) for a in np.nonzero(case.liver))
    assert codes({**case.volumes, Modality.CT: cropped(case.volumes[Modality.CT], *box)}) == []


def test_unrelated_and_tiny_images_are_not_reported():
    ct = phantom(1).volumes[Modality.CT]
    noise = ct.with_array(np.random.default_rng(0).random(ct.shape, dtype=np.float32) + (ct.array > -500))
    assert "pet-shifted" not in codes({Modality.CT: ct, Modality.FDG: noise})
    small = {m: cropped(v, *(slice(5, 15),) * 3) for m, v in phantom(1).volumes.items()}
    assert codes(small) == []


@pytest.mark.parametrize(
    "change", [lambda a: a + np.float32(2 * a.mean()), lambda a: a.max() - a], ids=["offset", "inverted"]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_pet_that_is_bright_in_the_air_is_reported(seed, change):
    found = check_alignment(with_pets(phantom(seed).volumes, lambda pet: pet.with_array(change(pet.array))))
    assert [finding.code for finding in found].count("pet-bright-air") == 2
    assert "rescale" in found[0].message


@pytest.mark.parametrize("part", [(0, 135), (0, 40), (20, 60), (50, 90), (90, 135)])
def test_a_patient_is_not_reported(part):
    volumes = patient()
    ct = cropped(volumes[Modality.CT], slice(*part), slice(0, 512), slice(0, 512))
    assert codes({**volumes, Modality.CT: ct}) == []
    arms_cut = cropped(ct, slice(0, ct.shape[0]), slice(130, 380), slice(100, 400))
    assert codes({**volumes, Modality.CT: arms_cut}) == []


@pytest.mark.parametrize("mm", [[0, 0, 50], [0, 0, -50], [50, 0, 0], [0, 40, 0], [0, -40, 0]])
def test_a_patient_whose_pet_is_shifted_is_reported(mm):
    assert codes(with_pets(patient(), lambda pet: shifted(pet, mm))) == ["pet-shifted"]


def test_all_shifts_together_give_the_information_of_each():
    rng = np.random.default_rng(5)
    reach, shape = pet_alignment.REACH, (4, 5, 6)
    levels = rng.integers(0, 12, [2 * n - 1 + 2 * reach for n in shape])
    levels[rng.random(levels.shape) < 0.2] = -1
    levels[:5] = -1
    stated = levels[tuple(slice(reach, reach + 2 * n - 1, 2) for n in shape)] >= 0
    points = np.argwhere(stated) * 2 + reach
    classes = rng.integers(0, 12, len(points))
    shifts, near = pet_alignment._shifts()
    found = pet_alignment._fits(classes, levels, np.ravel_multi_index(points.T, levels.shape), shifts)
    assert len(shifts) == 9**3 + near.sum() - (near & (shifts % 2 == 0).all(axis=1)).sum()

    def information(a, b):
        joint = np.histogram2d(a, b, bins=(np.arange(13), np.arange(13)))[0] / len(a)
        entropies = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in (joint.sum(0), joint.sum(1), joint.ravel())]
        return entropies[0] + entropies[1] - entropies[2]

    for count, here, there, shift in zip(*found, shifts, strict=True):
        moved = levels[tuple((points + shift).T)]
        both = moved >= 0
        assert count == both.sum()
        if count:
            assert here == pytest.approx(information(classes[both], levels[tuple(points[both].T)]), abs=1e-12)
            assert there == pytest.approx(information(classes[both], moved[both]), abs=1e-12)
