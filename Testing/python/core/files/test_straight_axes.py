"""Skewed axes: NRRD and MetaImage can store them, NIfTI cannot, and no image of a case may have them."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib import read_case
from REACTKDLib.__main__ import FAILED, main
from REACTKDLib.core import errors
from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.files.straight_axes import check_straight, nearest_rotation, skew_of, straightened
from REACTKDLib.core.files.volumes import read_volume, write_volume
from REACTKDLib.core.images.grid import farthest_apart
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from support.case_files import SEGMENTATION, write_case
from support.nifti_headers import sheared
from support.small_cases import rotation, small_case

CASE = small_case()
CT = CASE.reference
TILTED = sheared(CT.ijk_to_ras, 0.27)  # a gantry tilt of 15 degrees
ROUNDED = (1e-7, 1e-5, 1e-4, 4e-4, 8e-4, 9.9e-4)
LEANING = (1.1e-3, 2e-3, 2e-2, 0.27)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_case(CASE, tmp_path_factory.mktemp("case"))


def place(spacing, cosine):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((10, -20, 30)) * spacing
    matrix[:3, 3] = -120.0, 35.0, 410.0
    return sheared(matrix, cosine)


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 5.0), (0.8, 5.0, 0.8), (20.0, 20.0, 20.0)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("cosine", ROUNDED)
def test_axes_that_rounding_left_are_written_in_every_format(tmp_path, cosine, suffix, spacing):
    volume = Volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5), place(spacing, cosine))
    read = read_volume(write_volume(volume, tmp_path / f"a{suffix}"))
    assert np.array_equal(read.array, volume.array)
    assert np.allclose(read.spacing, spacing, rtol=1e-5)
    voxels = farthest_apart(volume.shape, read.ijk_to_ras, volume.ijk_to_ras) / min(spacing)
    assert voxels < (0.02 if "nii" in suffix else 1e-5)


@pytest.mark.parametrize("cosine", LEANING)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII.GZ"])
def test_nifti_refuses_skewed_axes(tmp_path, suffix, cosine):
    volume = Volume(np.ones((3, 4, 5), np.int16), place((0.8, 0.8, 5.0), cosine), name="the CT")
    with pytest.raises(errors.SkewedAxes) as caught:
        write_volume(volume, tmp_path / f"a{suffix}")
    said = "The axes of the CT are not perpendicular, and NIfTI cannot hold them; write it as .nrrd or .mha."
    assert str(caught.value) == said and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cosine", LEANING)
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_nrrd_and_metaimage_store_skewed_axes(tmp_path, suffix, cosine):
    volume = Volume(np.ones((3, 4, 5), np.int16), place((0.8, 0.8, 5.0), cosine))
    read = read_volume(write_volume(volume, tmp_path / f"a{suffix}"))
    assert np.allclose(read.ijk_to_ras, volume.ijk_to_ras, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("towards", [0, 1, 2])
@pytest.mark.parametrize("mirrored", [False, True])
def test_any_skewed_axis_is_found_and_straightened(axis, towards, mirrored):
    straight = rotation((10, -20, 30)) @ np.diag([-1.0 if mirrored else 1.0, 1, 1])
    axes = straight * (0.7, 0.9, 5.0)
    check_straight(np.block([[axes, np.ones((3, 1))], [np.zeros((1, 3)), 1]]), "the CT")
    if axis == towards:
        return
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, (1, 2, 3)
    matrix[:3, axis] += 2e-3 * straight[:, towards] * np.linalg.norm(axes[:, axis])
    assert skew_of(matrix[:3, :3]) == pytest.approx(2e-3, rel=1e-3)
    with pytest.raises(errors.SkewedAxes, match="axes of the CT are not perpendicular"):
        check_straight(matrix, "the CT")
    found = straightened(matrix)
    assert skew_of(found[:3, :3]) < 1e-12 and found[:3, 3].tolist() == [1, 2, 3]
    assert np.allclose(np.linalg.norm(found[:3, :3], axis=0), np.linalg.norm(matrix[:3, :3], axis=0))
    assert np.linalg.det(nearest_rotation(matrix[:3, :3])) == pytest.approx(-1 if mirrored else 1)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_case_with_skewed_axes_is_refused(folder, tmp_path, suffix):
    ct = write_volume(Volume(CT.array, TILTED), tmp_path / f"ct{suffix}")
    with pytest.raises(errors.SkewedAxes, match="axes of the CT are not perpendicular.*3D Slicer"):
        open_case(ct, segmentation=folder / SEGMENTATION)


def test_a_pet_that_carries_the_masks_is_named(tmp_path):
    pet = CASE.volumes[Modality.FDG]
    file = write_volume(Volume(pet.array, sheared(pet.ijk_to_ras, 0.27)), tmp_path / "pet.nrrd")
    with pytest.raises(errors.SkewedAxes, match="axes of the FDG PET are not perpendicular"):
        open_case(fdg=file, segmentation=write_case(CASE, tmp_path / "case") / SEGMENTATION)


def test_images_in_memory_with_skewed_axes_are_refused():
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(CT.array)
    image.SetDirection((1.0, 0.27, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    for given in (image, Volume(CT.array, TILTED)):
        with pytest.raises(errors.SkewedAxes, match="axes of the CT are not perpendicular"):
            read_case(given, liver=CASE.liver, tumor=CASE.tumor)


def leaning_pet(folder, tmp_path):
    """The arguments of a case with a skewed PET, as after an affine registration."""
    pet = CASE.volumes[Modality.FDG]
    file = write_volume(Volume(pet.array, sheared(pet.ijk_to_ras, 0.05)), tmp_path / "pet.nrrd")
    return ["--ct", str(folder / "CT.nii.gz"), "--fdg", str(file), "--segmentation", str(folder / SEGMENTATION)]


def test_a_skewed_pet_is_resampled_onto_its_ct(folder, tmp_path, capsys):
    assert main(["check", *leaning_pet(folder, tmp_path)]) == 0
    assert "perpendicular" not in capsys.readouterr().err


def test_prepare_does_not_crop_lesions_from_a_skewed_pet(folder, tmp_path, capsys):
    assert main(["prepare", *leaning_pet(folder, tmp_path), "--paper", "--output", str(tmp_path / "out")]) == FAILED
    said = capsys.readouterr().err
    assert "axes of the FDG PET are not perpendicular" in said and "disk" not in said and ".reactkd" not in said
    assert not (tmp_path / "out").exists()
