"""NIfTI files with two voxel sizes, two positions or skewed axes: read as one of them with a finding, or refused."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from REACTKDLib.core import errors
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.cases.open_job import open_job, read_job
from REACTKDLib.core.files.volumes import read_raw, read_volume, write_volume
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
from support.case_files import NAMES, SEGMENTATION, patched_nifti, write_case
from support.nifti_headers import CODES, nifti2, nifti_with, sheared
from support.small_cases import placed, rotation, small_case

CASE = small_case()
CT = CASE.reference
LABELS = Volume(CASE.liver.astype(np.uint8) + CASE.tumor, CT.ijk_to_ras)
BOTH_CODES = [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (4, 2)]
SIZES = [(0.9, 0.9, 1), (1, 1, 0.8), (1, 1, 1.02), (1 / 4, 1 / 4, 1 / 3.5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_case(CASE, tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def grader():
    return Grader(Bundle.load(shipped_bundle_folder()), "cpu")


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]


def moved(matrix: np.ndarray, *shift: float) -> np.ndarray:
    out = matrix.copy()
    out[:3, 3] += shift
    return out


def liver_ml(case) -> float:
    return case.liver.sum() * case.reference.voxel_ml


# -- two sizes


@pytest.mark.parametrize("forms", BOTH_CODES)
@pytest.mark.parametrize("times", SIZES)
def test_the_sform_is_used_where_pixdim_has_other_voxel_sizes(tmp_path, times, forms):
    raw = read_raw(nifti_with(CT, tmp_path / "ct.nii", codes=forms, pixdim_times=times), "the CT")
    assert np.allclose(raw.ijk_to_ras, CT.ijk_to_ras, atol=2e-5)
    assert codes(raw.findings) == ["two-voxel-sizes"]
    told = raw.findings[0]
    assert told.severity == "warning"
    stated = " x ".join(f"{v:.6g}" for v in (CT.spacing.astype(np.float32) * times).astype(np.float32))
    assert stated in told.message and "(pixdim)" in told.message and "4 x 4 x 3.5 mm (sform)" in told.message


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.floats(0.5, 6)] * 3), st.tuples(*[st.floats(0.3, 3)] * 3))
def test_any_pair_of_sizes_gives_the_sform(tmp_path, degrees, spacing, times):
    matrix = placed((4, 5, 6), spacing, np.zeros(3), rotation(degrees))
    volume = Volume(np.arange(120, dtype=np.int16).reshape(4, 5, 6), matrix)
    raw = read_raw(nifti_with(volume, tmp_path / "any.nii", codes=(0, 1), pixdim_times=times))
    assert np.allclose(raw.ijk_to_ras, matrix, atol=1e-4 * np.abs(matrix).max())
    assert bool(raw.findings) == (np.abs(1 / np.array(times) - 1).max() > 1e-4)


@pytest.mark.parametrize("times", SIZES[:3])
def test_the_grade_of_two_sizes_is_that_of_the_sform(folder, grader, tmp_path, times):
    right = grader.open(open_case(folder / NAMES[Modality.CT], segmentation=folder / SEGMENTATION)).grade().report
    ct = nifti_with(CT, tmp_path / "ct.nii", pixdim_times=times)
    labels = nifti_with(LABELS, tmp_path / "labels.nii", pixdim_times=times)
    case = open_case(ct, segmentation=labels)
    report = grader.open(case).grade().report
    assert report.grade == right.grade
    assert report.probabilities == pytest.approx(right.probabilities, abs=1e-5)
    assert liver_ml(case) == pytest.approx(liver_ml(CASE), rel=1e-5)
    assert codes(report.findings).count("two-voxel-sizes") == 2  # for the CT, and for the segmentation


@pytest.mark.parametrize("which", ["ct", "labels"])
def test_two_voxel_sizes_of_one_image_are_reported(tmp_path, which):
    paths = {"ct": write_volume(CT, tmp_path / "ct.nii"), "labels": write_volume(LABELS, tmp_path / "labels.nii")}
    nifti_with({"ct": CT, "labels": LABELS}[which], paths[which], pixdim_times=(0.9, 0.9, 1))
    case = open_case(paths["ct"], segmentation=paths["labels"])
    assert np.array_equal(case.tumor, CASE.tumor) and liver_ml(case) == pytest.approx(liver_ml(CASE), rel=1e-5)
    assert "two-voxel-sizes" in codes(case.findings)


def test_a_mask_on_the_mixed_grid_of_other_readers_is_laid_on_the_image(tmp_path):
    """ITK and 3D Slicer combine pixdim's sizes with the sform's axes for such a CT; masks drawn there do the same."""
    ct = nifti_with(CT, tmp_path / "ct.nii", pixdim_times=(0.9, 0.9, 1))
    mixed = CT.ijk_to_ras.copy()
    mixed[:3, :3] *= [0.9, 0.9, 1]
    masks = write_volume(Volume(LABELS.array, mixed), tmp_path / "labels.nrrd")
    case = open_case(ct, segmentation=masks)
    assert np.array_equal(case.tumor, CASE.tumor) and np.array_equal(case.liver, CASE.liver)
    assert "mask-by-other-place" in codes(case.findings)


# -- two places


@pytest.mark.parametrize("forms", [(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (3, 3)])
@pytest.mark.parametrize("shift", [(12, 0, 0), (0, -7.5, 0), (0, 0, 30), (1.5, 1, 0)])
def test_two_positions_are_reported_with_the_one_used(tmp_path, forms, shift):
    other = moved(CT.ijk_to_ras, *shift)
    raw = read_raw(nifti_with(CT, tmp_path / "ct.nii", codes=forms, sform=other), "the CT")
    taken = "sform" if forms[1] == 1 else "qform"
    assert np.allclose(raw.ijk_to_ras, other if taken == "sform" else CT.ijk_to_ras, atol=1e-4)
    assert codes(raw.findings) == ["two-places"] and raw.findings[0].severity == "warning"
    assert f"its {taken} was used" in raw.findings[0].message
    assert f"{np.linalg.norm(shift):.3g} mm" in raw.findings[0].message
    (left,) = raw.other_places
    assert np.allclose(left, CT.ijk_to_ras if taken == "sform" else other, atol=1e-4)


def test_mirrored_and_rotated_sforms_are_other_positions(tmp_path):
    mirrored, turned = CT.ijk_to_ras @ np.diag([-1, 1, 1, 1]), CT.ijk_to_ras.copy()
    turned[:3, :3] = rotation((0, 0, 5)) @ turned[:3, :3]
    for matrix in (mirrored, turned):
        assert codes(read_raw(nifti_with(CT, tmp_path / "ct.nii", sform=matrix)).findings) == ["two-places"]


def test_rounding_is_not_another_position(tmp_path):
    near = moved(CT.ijk_to_ras, 0.05, -0.05, 0.1)
    assert read_raw(nifti_with(CT, tmp_path / "ct.nii", sform=near)).findings == ()


def by_command(ct, masks):
    return open_case(ct, segmentation=masks)


def by_batch(ct, masks):
    return open_job(Job("a", {Modality.CT: ct}, masks))


def by_two_files(ct, masks):
    return open_job(Job("a", {Modality.CT: ct}, None, None, None, _two_files(masks)))


def _two_files(masks):
    both = read_raw(masks)
    paths = [masks.with_name(f"{name}-{masks.name}") for name in ("liver", "tumor")]
    for path, least in zip(paths, (1, 2)):
        write_volume(Volume((both.array >= least).astype(np.uint8), both.ijk_to_ras), path)
    return tuple(paths)


@pytest.mark.parametrize("read", [by_command, by_batch, by_two_files])
@pytest.mark.parametrize("masks_lie", ["on the taken place", "on the other place"])
@pytest.mark.parametrize("forms", [(1, 1), (1, 2)])
@pytest.mark.parametrize("shift", [(13, -7, 3), (16, 0, 0)], ids=["apart", "apart by whole voxels"])
def test_masks_at_either_position_cover_the_same_voxels(tmp_path, read, masks_lie, forms, shift):
    other = moved(CT.ijk_to_ras, *shift)
    taken, left = (other, CT.ijk_to_ras) if forms[1] == 1 else (CT.ijk_to_ras, other)
    ct = nifti_with(CT, tmp_path / "ct.nii", codes=forms, sform=other)
    place = taken if masks_lie == "on the taken place" else left
    case = read(ct, write_volume(Volume(LABELS.array, place), tmp_path / "labels.nii.gz"))
    assert np.array_equal(case.liver, CASE.liver) and np.array_equal(case.tumor, CASE.tumor)
    assert "two-places" in codes(case.findings)
    assert ("mask-by-other-place" in codes(case.findings)) == (place is left)


def test_cropped_masks_at_the_other_position_cover_the_same_voxels(tmp_path):
    other = moved(CT.ijk_to_ras, 13, -7, 3)
    ct = nifti_with(CT, tmp_path / "ct.nii", codes=(1, 1), sform=other)
    cut = CT.ijk_to_ras.copy()
    cut[:3, 3] += CT.ijk_to_ras[:3, :3] @ [2, 1, 3]
    masks = write_volume(Volume(LABELS.array[3:, 1:, 2:], cut), tmp_path / "labels.nrrd")
    case = open_case(ct, segmentation=masks)
    assert np.array_equal(case.tumor, CASE.tumor) and "mask-by-other-place" in codes(case.findings)


def test_a_listed_case_is_shown_as_it_is_graded(tmp_path):
    ct = nifti_with(CT, tmp_path / "ct.nii", sform=moved(CT.ijk_to_ras, 13, -7, 3))
    masks = write_volume(LABELS, tmp_path / "labels.nii.gz")
    read = read_job(Job("a", {Modality.CT: ct}, masks))
    assert np.allclose(read.segmentation.ijk_to_ras, read.volumes[Modality.CT].ijk_to_ras, atol=1e-3)
    assert {"two-places", "mask-by-other-place"} <= set(codes(read.findings))


def test_a_pet_at_the_unused_position_is_refused(folder, tmp_path):
    ct = nifti_with(CT, tmp_path / "ct.nii", sform=moved(CT.ijk_to_ras, 13, -7, 3))
    array = np.where(CASE.liver, 3.0, 0.5).astype(np.float32)
    on_other = write_volume(Volume(array, CT.ijk_to_ras), tmp_path / "pet.nii.gz")
    with pytest.raises(
        errors.GeometryMismatch, match="The FDG PET overlaps the other image at only one of the two positions"
    ):
        open_case(ct, on_other, segmentation=folder / SEGMENTATION)


# -- skewed axes


@pytest.mark.parametrize("cosine", [1e-5, 1e-4, 3e-4, 6e-4, 9e-4])
@pytest.mark.parametrize("forms", [(0, 1), (0, 2)])
def test_a_slightly_sheared_sform_is_read_as_the_nearest_rotation(tmp_path, cosine, forms):
    path = nifti_with(CT, tmp_path / "ct.nii", codes=forms, sform=sheared(CT.ijk_to_ras, cosine))
    raw = read_raw(path)
    axes = raw.ijk_to_ras[:3, :3]
    assert np.allclose(np.linalg.norm(axes, axis=0), CT.spacing, rtol=1e-6)
    lean = np.linalg.norm(axes / CT.spacing - CT.ijk_to_ras[:3, :3] / CT.spacing, axis=0).max()
    assert lean < cosine + 1e-6 and raw.findings == ()
    unit = axes / np.linalg.norm(axes, axis=0)
    assert np.abs(unit.T @ unit - np.eye(3)).max() < max(1e-9, 1.1e-4 if cosine <= 1e-4 else 0)


@pytest.mark.parametrize("cosine", [2e-3, 1e-2, 0.3])
def test_a_tilted_gantry_is_named(tmp_path, cosine):
    path = nifti_with(CT, tmp_path / "ct.nii", codes=(0, 2), sform=sheared(CT.ijk_to_ras, cosine))
    with pytest.raises(errors.SkewedAxes, match="axes of the CT are not perpendicular"):
        read_volume(path, Modality.CT)


@pytest.mark.parametrize("forms", [(1, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("cosine", [2e-3, 0.3])
def test_a_valid_qform_replaces_a_sheared_sform(tmp_path, forms, cosine):
    raw = read_raw(nifti_with(CT, tmp_path / "ct.nii", codes=forms, sform=sheared(CT.ijk_to_ras, cosine)), "the CT")
    assert np.allclose(raw.ijk_to_ras, CT.ijk_to_ras, atol=1e-4)
    assert codes(raw.findings) == ["sform-not-used"] and "its qform was used" in raw.findings[0].message


def test_a_slightly_sheared_ct_keeps_its_masks(folder, tmp_path):
    ct = nifti_with(CT, tmp_path / "ct.nii", codes=(0, 2), sform=sheared(CT.ijk_to_ras, 9e-4))
    case = open_case(ct, segmentation=folder / SEGMENTATION)
    assert np.array_equal(case.tumor, CASE.tumor) and liver_ml(case) == pytest.approx(liver_ml(CASE), rel=1e-5)


# -- variants of the format


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_nifti_2_is_read(tmp_path, order, packed):
    volume = Volume(np.arange(120, dtype=np.int16).reshape(4, 5, 6) * 200, CT.ijk_to_ras)
    path = nifti2(volume, tmp_path / "two.nii", order)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    raw = read_raw(path)
    assert np.array_equal(raw.array, volume.array) and raw.array.dtype == np.int16
    assert np.allclose(raw.ijk_to_ras, volume.ijk_to_ras, atol=1e-5)


@pytest.mark.parametrize(("name", "packed"), [("a.nii", True), ("a.nii.gz", False), ("a.nrrd", True)])
def test_the_format_is_detected_from_the_content(tmp_path, name, packed):
    data = write_volume(CT, tmp_path / "right.nii").read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    raw = read_raw(tmp_path / name)
    assert np.array_equal(raw.array, CT.array) and np.allclose(raw.ijk_to_ras, CT.ijk_to_ras, atol=1e-4)


def test_a_file_of_a_similar_name_is_not_read_instead(tmp_path):
    """ITK reads a.nii instead of a.nii.gz when both exist."""
    write_volume(CT.with_array(CT.array * 0), tmp_path / "a.nii")
    assert np.array_equal(read_raw(write_volume(CT, tmp_path / "a.nii.gz")).array, CT.array)


def test_header_and_voxels_in_two_files_are_read(tmp_path):
    data = bytearray(write_volume(CT, tmp_path / "one.nii").read_bytes())
    data[344:348] = b"ni1\0"
    (tmp_path / "two.hdr").write_bytes(patched_nifti(bytes(data[:352]), [(108, "f", [0.0])]))
    with pytest.raises(errors.NotAnImage, match="its data file is missing"):
        read_raw(tmp_path / "two.hdr")
    (tmp_path / "two.img").write_bytes(data[352:])
    for name in ("two.hdr", "two.img"):
        assert np.array_equal(read_raw(tmp_path / name).array, CT.array)


def test_an_image_without_qform_and_sform_is_reported(tmp_path):
    raw = read_raw(nifti_with(CT, tmp_path / "ct.nii", codes=(0, 0)), "the CT")
    assert codes(raw.findings) == ["geometry-incomplete"] and "neither qform nor sform" in raw.findings[0].message
    assert np.allclose(raw.ijk_to_ras, np.diag([-4, -4, 3.5, 1]), atol=1e-5)


@pytest.mark.parametrize(("slope", "intercept"), [(0, -1024), (float("nan"), 5), (float("inf"), 0), (1, float("nan"))])
def test_a_scale_that_gives_no_values_is_refused(tmp_path, slope, intercept):
    data = write_volume(CT, tmp_path / "ct.nii").read_bytes()
    (tmp_path / "ct.nii").write_bytes(patched_nifti(data, [(112, "2f", (slope, intercept))]))
    with pytest.raises(errors.NotAnImage, match="scales its values"):
        read_raw(tmp_path / "ct.nii")


def test_a_scale_is_applied(tmp_path):
    data = write_volume(CT.with_array(CT.array.astype(np.int16)), tmp_path / "ct.nii").read_bytes()
    (tmp_path / "ct.nii").write_bytes(patched_nifti(data, [(112, "2f", (0.5, -10)), (CODES, "2h", (1, 1))]))
    assert np.array_equal(read_raw(tmp_path / "ct.nii").array, CT.array.astype(np.int16) * np.float32(0.5) - 10)
