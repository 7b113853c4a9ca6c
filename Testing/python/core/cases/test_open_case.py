"""Opening a case from files: what is read, what is reported, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from REACTKDLib.core import errors
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.cases.open_job import open_job
from REACTKDLib.core.files.liver_parts import SEGMENT_OF_CODE
from REACTKDLib.core.files.segmentation_writer import write_segments
from REACTKDLib.core.files.segments import PlacedMask
from REACTKDLib.core.files.volumes import read_volume, write_volume
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality
from support.case_files import NAMES, SEGMENTATION, write_case, write_masks
from support.real_data import real_data
from support.real_liver import liver_by_threshold
from support.small_cases import placed, rotation, small_case
from support.worker_runs import files_in

CASE = small_case()
PLACE = CASE.reference.ijk_to_ras


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The small case on disk."""
    return write_case(CASE, tmp_path_factory.mktemp("case"))


def codes(case) -> list[str]:
    return [finding.code for finding in case.findings]


def paths(folder, *modalities) -> dict:
    return {m.value: folder / NAMES[m] for m in modalities} | {"segmentation": folder / SEGMENTATION}


@pytest.mark.parametrize(
    "modalities",
    [(Modality.CT,), (Modality.CT, Modality.FDG), (Modality.CT, Modality.ACETATE), tuple(Modality)],
    ids=lambda m: "+".join(x.value for x in m),
)
def test_every_subset_of_images_with_a_ct_is_opened(folder, modalities):
    case = open_case(**paths(folder, *modalities))
    assert case.modalities == modalities
    assert np.array_equal(case.liver, CASE.liver)
    assert np.array_equal(case.tumor, CASE.tumor)
    assert case.volumes[Modality.CT].unit is Unit.HU
    assert set(codes(case)) <= {"coarse-pixels"}


def test_the_order_of_the_images_does_not_choose_the_reference(folder):
    job = files_in(folder)
    turned = replace(job, images=dict(reversed(job.images.items())))
    case = open_job(turned)
    assert case.reference is case.volumes[Modality.CT] and np.array_equal(case.tumor, CASE.tumor)
    assert [f.code for f in case.findings] == [f.code for f in open_job(job).findings]


def test_pet_alone_with_masks_on_its_grid(tmp_path):
    pet = small_case(modalities=[Modality.FDG, Modality.ACETATE])
    case = open_case(**paths(write_case(pet, tmp_path), Modality.FDG, Modality.ACETATE))
    assert case.reference is case.volumes[Modality.FDG]
    assert np.array_equal(case.tumor, pet.tumor)


def test_id_is_neutral_unless_given(tmp_path):
    folder = write_case(CASE, tmp_path / "CANARY_NAME")
    assert open_case(**paths(folder, Modality.CT)).id == "case"
    assert open_case(**paths(folder, Modality.CT), case_id="P07").id == "P07"


def test_masks_on_another_grid_are_resampled(folder, tmp_path):
    shape = (60, 60, 60)
    matrix = placed(shape, (2.7, 2.7, 2.6), np.array([10.0, -5.0, 20.0]), rotation((40.0, 10.0, -30.0)))
    from support.small_cases import TWO_LESIONS, _masks, world

    liver, tumor = _masks(world(shape, matrix), TWO_LESIONS)
    write_masks(liver | tumor, tumor, matrix, tmp_path / "turned.seg.nrrd")
    case = open_case(folder / NAMES[Modality.CT], segmentation=tmp_path / "turned.seg.nrrd")
    assert "segmentation-resampled" in codes(case)
    for ours, truth in ((case.liver, CASE.liver), (case.tumor, CASE.tumor)):
        assert 2 * (ours & truth).sum() / (ours.sum() + truth.sum()) > 0.93


def test_label_map_of_public_data(folder, tmp_path):
    """The labels of LiTS and the Decathlon: 1 liver without tumor, 2 tumor."""
    labels = CASE.liver.astype(np.uint8) + CASE.tumor
    write_volume(Volume(labels, CASE.reference.ijk_to_ras), tmp_path / "labels.nii.gz")
    case = open_case(folder / NAMES[Modality.CT], segmentation=tmp_path / "labels.nii.gz")
    assert np.array_equal(case.liver, CASE.liver)
    assert np.array_equal(case.tumor, CASE.tumor)
    assert {"labels-by-convention", "tumor-added-to-liver"} <= set(codes(case))
    told = open_case(folder / NAMES[Modality.CT], segmentation=tmp_path / "labels.nii.gz", liver=1, tumor=[2])
    assert np.array_equal(told.tumor, CASE.tumor)
    assert "labels-by-convention" not in codes(told)


def test_segmentation_that_lost_its_geometry(folder, tmp_path):
    write_masks(CASE.liver, CASE.tumor, np.eye(4), tmp_path / "lost.seg.nrrd")
    case = open_case(folder / NAMES[Modality.CT], segmentation=tmp_path / "lost.seg.nrrd")
    assert np.array_equal(case.liver, CASE.liver)
    assert "segmentation-without-geometry" in codes(case)


def test_mask_reaching_beyond_the_image(folder, tmp_path):
    matrix = CASE.reference.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] / np.linalg.norm(matrix[:3, 2]) * 60
    write_masks(CASE.liver, CASE.tumor, matrix, tmp_path / "moved.seg.nrrd")
    case = open_case(folder / NAMES[Modality.CT], segmentation=tmp_path / "moved.seg.nrrd")
    assert {"mask-partly-outside", "liver-cut"} <= set(codes(case))


def test_each_unusable_file_is_refused_with_its_error(folder, tmp_path):
    far = CASE.reference.ijk_to_ras.copy()
    far[:3, 3] += 2000
    ct = folder / NAMES[Modality.CT]
    nothing = np.zeros_like(CASE.liver)
    one = nothing.copy()
    one[18, 20, 22] = True
    corner = nothing.copy()
    corner[0, 0, 0] = True
    place = CASE.reference.ijk_to_ras
    seg = lambda name, liver, tumor, matrix=place: write_masks(liver, tumor, matrix, tmp_path / f"{name}.seg.nrrd")  # noqa: E731
    rows = (
        ({"segmentation": folder / SEGMENTATION}, errors.NoVolume),
        ({"ct": ct, "segmentation": None}, errors.EmptySegmentation),
        ({"ct": ct, "segmentation": seg("empty", nothing, nothing)}, errors.EmptySegmentation),
        ({"ct": ct, "segmentation": seg("no-liver", nothing, CASE.tumor)}, errors.NoLiver),
        ({"ct": ct, "segmentation": seg("one", one, nothing)}, errors.LiverTooSmall),
        ({"ct": ct, "segmentation": seg("outside", CASE.liver, corner)}, errors.TumorOutsideLiver),
        ({"ct": ct, "segmentation": seg("far", CASE.liver, CASE.tumor, far)}, errors.MaskOffImage),
        ({"ct": ct, "segmentation": folder / SEGMENTATION, "liver": "Spleen"}, errors.LabelMissing),
        ({"ct": ct, "segmentation": folder / SEGMENTATION, "tumor": [9]}, errors.LabelMissing),
        ({"ct": ct, "segmentation": ct}, errors.NotASegmentation),
        ({"ct": folder / NAMES[Modality.FDG], "segmentation": folder / SEGMENTATION}, errors.NotHounsfield),
    )
    for arguments, error in rows:
        with pytest.raises(error) as caught:
            open_case(**arguments)
        text = str(caught.value)
        assert text.endswith(".")
        assert str(tmp_path) not in text and str(folder) not in text


# Real images. None has a graded tumor, so they cannot test the grade itself.


def test_totalseg_slab_has_a_cut_liver_and_no_grade():
    data = real_data("totalseg")
    case = open_case(data / "example_ct_sm.nii.gz", segmentation=data / "example_seg.nii.gz", liver=5)
    assert "liver-cut" in codes(case)
    assert not case.tumor.any()
    assert int(case.liver.sum()) * case.reference.voxel_ml == pytest.approx(1043, abs=1)
    assert "liver-on-left" not in codes(case)


def test_totalseg_masks_of_the_slab_on_the_whole_scan():
    data = real_data("totalseg")
    case = open_case(data / "example_ct.nii.gz", segmentation=data / "example_seg.nii.gz", liver=5)
    assert "segmentation-resampled" in codes(case)
    assert int(case.liver.sum()) == pytest.approx(38634, abs=5)


def test_petct_of_the_thigh_pairs(tmp_path):
    """These scans show no liver; an ellipsoid of muscle replaces it, so that CT, PET and masks pass every step."""
    data = real_data("sts001_petct")
    images = {"ct": data / "CT/nifti/image/image.nii.gz", "fdg": data / "PET/nifti/image/image.nii.gz"}
    ct = read_volume(images["ct"], Modality.CT)
    k, j, i = np.indices(ct.shape)
    middle = np.array(ct.shape) / 2
    liver = sum(((axis - c) / (0.35 * n)) ** 2 for axis, c, n in zip((k, j, i), middle, ct.shape)) <= 1
    tumor = read_volume(data / "CT/nifti/mask/mask.nii.gz").array > 0
    write_masks(liver, tumor & liver, ct.ijk_to_ras, tmp_path / "s.seg.nrrd")
    case = open_case(**images, segmentation=tmp_path / "s.seg.nrrd")
    assert case.modalities == (Modality.CT, Modality.FDG)
    assert case.volumes[Modality.FDG].unit is Unit.SUVBW
    assert "pet-partly-outside" not in codes(case)


def test_whole_body_petct_with_a_liver_by_threshold(tmp_path):
    """CT and PET of ACRIN 042: the FDG uptake lies where the liver is, with an SUV of about 2, usual for a liver."""
    data = real_data("acrin_nsclc_042")
    liver, matrix = liver_by_threshold(read_volume(data / "CT.nii.gz", Modality.CT), slice(0, 45))
    write_masks(liver, np.zeros_like(liver), matrix, tmp_path / "s.seg.nrrd")
    case = open_case(data / "CT.nii.gz", data / "PET_BQML.nii.gz", segmentation=tmp_path / "s.seg.nrrd")
    assert {"segmentation-resampled", "pet-not-suv"} <= set(codes(case))
    assert not {"liver-on-left", "liver-volume", "liver-not-tissue", "pet-partly-outside"} & set(codes(case))
    assert int(case.liver.sum()) * case.reference.voxel_ml == pytest.approx(1310, abs=30)
    pet = case.volumes[Modality.FDG]
    assert pet.unit is Unit.BQML
    places = np.argwhere(case.liver)[::500, ::-1]
    index = places @ case.reference.ijk_to_ras[:3, :3].T + case.reference.ijk_to_ras[:3, 3]
    index = np.linalg.inv(pet.ijk_to_ras) @ np.c_[index, np.ones(len(index))].T
    i, j, k = np.rint(index[:3]).astype(int)
    suv = 4.2111e-4 * pet.array[k, j, i]
    assert 1.5 < np.median(suv) < 2.5
    assert np.percentile(suv, 5) > 0.8  # not air, fat or lung: the PET is aligned with the liver


def test_lesions_beyond_the_file_of_the_liver_are_kept(folder, tmp_path):
    """A liver mask saved cropped, to its own bounding box or another one, loses no tumor voxel."""
    box = bounding_box(CASE.liver & ~CASE.tumor)
    first, last = np.argwhere(CASE.tumor)[[0, -1], 0]
    through = slice(box[0].start, int(first + 0.75 * (last - first)))  # cuts through the upper lesion
    for cut in (box, (through, *box[1:])):
        case, findings = by_two_files(folder, tmp_path, CASE.liver[cut], Grid(CASE.liver.shape, PLACE).part(cut))
        assert np.array_equal(case.tumor, CASE.tumor)
        assert np.array_equal(case.liver[cut] | CASE.tumor[cut], CASE.liver[cut])
        assert "mask-partly-outside" not in findings


def test_two_masks_that_lie_apart_are_refused(folder, tmp_path):
    for millimeters in (150.0, 400.0, 1e5):
        moved = PLACE.copy()
        moved[2, 3] += millimeters
        with pytest.raises(errors.MaskOffImage, match=r"tumor mask .*same patient"):
            by_two_files(folder, tmp_path, tumor=CASE.tumor, tumor_grid=Grid(CASE.tumor.shape, moved))


@pytest.mark.parametrize("lost", ["liver", "tumor"])
def test_of_two_masks_one_that_lost_its_geometry_is_laid_on_the_other(folder, tmp_path, lost):
    bare = Grid(CASE.liver.shape, np.eye(4))
    case, findings = by_two_files(folder, tmp_path, **{f"{lost}_grid": bare})
    assert np.array_equal(case.tumor, CASE.tumor) and np.array_equal(case.liver, CASE.liver)
    assert "segmentation-without-geometry" in findings


def by_two_files(folder, tmp_path, liver=CASE.liver, liver_grid=None, tumor=CASE.tumor, tumor_grid=None):
    """The small case with its masks in two files, each on its own grid, and the codes of its findings."""
    whole, files = Grid(CASE.liver.shape, PLACE), (tmp_path / "liver.nii.gz", tmp_path / "tumor.nii.gz")
    for path, mask, grid in zip(files, (liver, tumor), (liver_grid or whole, tumor_grid or whole), strict=True):
        write_volume(Volume(mask.astype(np.uint8), grid.ijk_to_ras), path)
    case = open_job(Job("a", {Modality.CT: folder / NAMES[Modality.CT]}, None, None, None, files))
    return case, codes(case)


def test_lesions_outside_the_image_are_reported(tmp_path):
    """A CT that ends before a lesion does: the report must say that part of the tumor was not examined."""
    whole = np.argwhere(CASE.tumor)[:, 0]
    for start, tells in ((whole.min() + 3, True), (0, False)):
        part = Grid(CASE.liver.shape, PLACE).part((slice(int(start), 36), slice(0, 40), slice(0, 44)))
        write_volume(Volume(CASE.reference.array[start:], part.ijk_to_ras), tmp_path / "ct.nii.gz")
        masks = write_masks(CASE.liver, CASE.tumor, PLACE, tmp_path / "masks.seg.nrrd")
        case = open_case(tmp_path / "ct.nii.gz", segmentation=masks)
        told = [f.message for f in case.findings if f.code == "mask-partly-outside"]
        assert any("of the tumor mask" in text for text in told) == tells


@pytest.mark.parametrize("name", ["Liver segment {n}", "Part"])
@pytest.mark.parametrize("empty", [(), (3,), (2, 8)])
def test_a_liver_made_of_couinaud_segments_is_reported(folder, tmp_path, name, empty):
    """The liver as Couinaud segments, recognized by their codes; a resected segment has no voxels."""
    codes_of_parts = [code for (scheme, code) in SEGMENT_OF_CODE if scheme == "SCT"]
    planes = np.array_split(np.flatnonzero(CASE.liver.any(axis=(1, 2))), 8)
    masks = []
    for n, code in enumerate(codes_of_parts, start=1):
        part = np.zeros_like(CASE.liver)
        if n not in empty:
            part[planes[n - 1]] = CASE.liver[planes[n - 1]]
        entry = f"x~SCT^123037004^Anatomy~SCT^{code}^Part~^^~y~^^~^^"
        masks.append(PlacedMask(name.format(n=n), part, PLACE, (0.5, 0.5, 0.5), entry))
    masks.append(
        PlacedMask("Tumor", CASE.tumor & np.logical_or.reduce([m.mask for m in masks]), PLACE, (1.0, 0.0, 0.0))
    )
    write_segments(masks, tmp_path / "parts.seg.nrrd")
    case = open_case(ct=folder / NAMES[Modality.CT], segmentation=tmp_path / "parts.seg.nrrd")
    said = {finding.code: finding.message for finding in case.findings}
    assert said["liver-of-parts"].count(name.format(n=1)) == (1 if "{" in name else 8)
    assert ("liver-part-empty" in said) == bool(empty)
    if empty:
        assert said["liver-part-empty"].count("'") == 2 * len(empty)
