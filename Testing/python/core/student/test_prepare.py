"""Preparation: the grid follows the liver, not the file; CT values use a liver window, PET values are scale-free."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import NoLiver, PetOffLiver
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.normalize import liver_window, log_pet, percentile_pet, pet_scale
from REACTKDLib.core.student.prepare import Preparation, resample_along_axes
from support.small_cases import small_case

SMALL = Preparation(shape=(48, 48, 64), spacing_mm=5.0)


def test_the_liver_window_agrees_with_hand_worked_values():
    assert np.allclose(liver_window(np.array([-3000, 107, 132, 900]), 107, 25), [-10.68, 0, 1, 5.32])


def test_pet_is_scale_free():
    rng = np.random.default_rng(0)
    pet = rng.gamma(2.0, 1.0, (10, 11, 12)).astype(np.float32)
    inside = np.ones(pet.shape, dtype=bool)
    assert np.isclose(pet_scale(pet * 1000, inside), 1000 * pet_scale(pet, inside), rtol=1e-5)
    assert np.allclose(log_pet(pet * 1000, inside, 0.1, 2.0), log_pet(pet, inside, 0.1, 2.0), atol=1e-5)
    assert pet_scale(np.zeros((3, 3, 3)), np.ones((3, 3, 3), dtype=bool)) == 1.0
    assert np.isclose(percentile_pet(pet).std(), 1, atol=1e-3)


def test_small_edits_keep_the_grid_and_the_center_is_on_a_lattice():
    case = small_case()
    grid, findings = SMALL.grid_for(case)
    assert findings == ()
    edited = case.liver.copy()
    box = np.argwhere(edited)
    edited[tuple(box[0])] = False
    again, _ = SMALL.grid_for(case.with_masks(liver=edited))
    assert grid.same_as(again)


def test_a_large_liver_scales_the_spacing_up_and_is_reported():
    case = small_case()
    tight = Preparation(shape=(16, 16, 16), spacing_mm=2.5)
    grid, findings = tight.grid_for(case)
    assert [f.code for f in findings] == ["liver-larger-than-grid"]
    assert np.ptp(grid.spacing) < 1e-9 and grid.spacing[0] > 5
    index = (np.argwhere(case.liver)[:, ::-1] @ case.reference.ijk_to_ras[:3, :3].T) + case.reference.ijk_to_ras[:3, 3]
    inside = (index - grid.ijk_to_ras[:3, 3]) @ np.linalg.inv(grid.ijk_to_ras[:3, :3]).T
    assert inside.min() > -0.51 and (inside.max(axis=0) < np.array(grid.shape[::-1]) - 0.49).all()


def test_volume_field_covers_everything():
    case = small_case()
    grid, _ = Preparation(shape=(8, 10, 12), field="volume").grid_for(case)
    assert np.isclose(np.prod(grid.spacing) * 8 * 10 * 12, case.reference.voxel_ml * 1000 * case.liver.size)


def test_padding_does_not_bleed():
    array = np.full((20, 20, 20), 50, dtype=np.int16)
    array[:, :, 10:] = -3024
    case = Case("x", {Modality.CT: Volume(array, np.eye(4))}, array > 0, np.zeros(array.shape, dtype=bool))
    grid, _ = Preparation(shape=(8, 8, 8), spacing_mm=2.5).grid_for(case)
    values = resample_along_axes(case.reference, grid, -160.0, (-160.0, 240.0))
    assert values.min() >= -160.001


def test_the_paper_variant_normalizes_to_mean_0_and_spread_1():
    paper = Preparation(shape=(16, 32, 32), field="volume", ct="z-score", pet="percentile")
    images = paper(small_case()).images
    for image in images.values():
        assert abs(image.mean()) < 1e-3 and abs(image.std() - 1) < 1e-3


def test_metadata_round_trip():
    assert Preparation.from_metadata(SMALL.to_metadata()) == SMALL
    with pytest.raises(TypeError):
        Preparation.from_metadata({**SMALL.to_metadata(), "other": 1})


def test_preparation_faults_have_their_own_errors():
    case = small_case()
    with pytest.raises(NoLiver):
        SMALL.grid_for(case.with_masks(liver=np.zeros_like(case.liver)))
    pet = case.volumes[Modality.FDG]
    away = pet.ijk_to_ras.copy()
    away[:3, 3] += 2000
    volumes = {**case.volumes, Modality.FDG: Volume(pet.array, away)}
    with pytest.raises(PetOffLiver, match="FDG"):
        SMALL(Case("x", volumes, case.liver, case.tumor))


def test_a_ct_is_clipped_as_the_preparation_states():
    case = small_case(modalities=[Modality.CT])
    usual, wide = Preparation(), Preparation(ct_clip_hu=(-1000.0, 400.0))
    narrow, all_of_it = (p(case).images[Modality.CT] * p.ct_scale_hu + p.ct_center_hu for p in (usual, wide))
    assert narrow.min() >= -160.01 and all_of_it.min() < -500
    assert "ct_clip_hu" not in usual.to_metadata()  # existing metadata and caches stay valid
    assert Preparation.from_metadata(wide.to_metadata()) == wide != usual
    for clip in ((0.0, -1.0), (0.0,), 5.0, (-5000.0, 0.0)):
        with pytest.raises(ValueError, match="ct_clip_hu"):
            Preparation(ct_clip_hu=clip)
