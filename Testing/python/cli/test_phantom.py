"""`phantom` and `prepare`: the files that they write, and the geometry of these files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from REACTKDLib.__main__ import main
from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.files.segmentations import read_segmentation
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom.acquire import acquire
from REACTKDLib.core.phantom.patient import draw_patient
from support.case_files import NAMES, SEGMENTATION, case_arguments
from support.small_cases import small_case


@pytest.fixture(scope="module")
def phantom_folder(tmp_path_factory):
    """A small phantom on disk, written by the command."""
    folder = tmp_path_factory.mktemp("phantom") / "p"
    assert main(["phantom", "--grade", "poor", "--seed", "11", "--size", "small", "--output", str(folder)]) == 0
    return folder


def test_phantom_writes_images_masks_and_the_truth(phantom_folder):
    names = sorted(path.name for path in phantom_folder.iterdir())
    assert names == sorted([*NAMES.values(), SEGMENTATION, "truth.json"])
    assert [s.name for s in read_segmentation(phantom_folder / SEGMENTATION).segments] == ["Liver", "Tumor"]
    truth = json.loads((phantom_folder / "truth.json").read_text(encoding="utf-8"))
    assert truth["grade"] == "poor"
    assert truth["digital_phantom"] is True
    assert set(truth["bayes_posterior"]["ct+fdg+acetate"]) == {"well", "moderate", "poor"}
    assert truth["biology"] == "shared"
    decides = truth["lesions"][truth["deciding_lesion"]]
    assert decides["t"] == max(lesion["t"] for lesion in truth["lesions"]) and "ln_texture_mm" in decides


def test_phantom_of_the_first_edition(tmp_path):
    command = ["phantom", "--grade", "well", "--seed", "2", "--size", "small", "--output", str(tmp_path / "p")]
    assert main([*command, "--biology", "independent"]) == 0
    truth = json.loads((tmp_path / "p" / "truth.json").read_text(encoding="utf-8"))
    assert truth["latents"] == draw_patient(2, "well", biology="independent").latents.to_dict()
    assert main([*command, "--biology", "independent", "--heterogeneity", "0.4"]) == 2
    assert main([*command, "--heterogeneity", "2"]) == 2


def test_the_files_contain_the_phantom(phantom_folder):
    made = acquire(draw_patient(11, grade="poor"), size="small").case
    read = open_case(
        **{m.value: phantom_folder / NAMES[m] for m in Modality}, segmentation=phantom_folder / SEGMENTATION
    )
    assert np.array_equal(read.tumor, made.tumor)
    for modality, volume in made.volumes.items():
        assert np.array_equal(read.volumes[modality].array, volume.array)
        assert read.volumes[modality].unit is volume.unit
        assert np.allclose(read.volumes[modality].ijk_to_ras, volume.ijk_to_ras, atol=2e-3)


@pytest.mark.parametrize("name", ["CT.nii.gz", "segmentation.seg.nrrd", "FDG"])
@pytest.mark.parametrize("more", [[], ["--dicom"]])
def test_images_that_are_not_phantoms_are_not_replaced(tmp_path, capsys, name, more):
    (tmp_path / name).write_bytes(b"a patient's")
    asked = ["phantom", "--grade", "well", "--seed", "3", "--size", "small", "--output", str(tmp_path), *more]
    assert main(asked) == 2
    assert f"holds '{name}', which would be replaced" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"a patient's"}


def test_the_same_seed_gives_the_same_bytes(phantom_folder, tmp_path, capsys):
    assert main(["phantom", "--grade", "poor", "--seed", "11", "--size", "small", "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"Wrote a digital patient, grade poor, into {tmp_path}.\n"
    for path in phantom_folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_lesions_are_drawn_into_a_scan(phantom_folder, tmp_path, capsys):
    """The scan is the phantom of the first test; its own lesions remain and are listed in the truth."""
    images = ["--on", str(phantom_folder / NAMES[Modality.CT]), "--fdg", str(phantom_folder / NAMES[Modality.FDG])]
    command = ["phantom", "--grade", "well", "--seed", "3", "--output", str(tmp_path / "out")]
    masks = ["--liver", str(phantom_folder / SEGMENTATION)]
    assert main([*command, *images, *masks]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        [NAMES[Modality.CT], NAMES[Modality.FDG], SEGMENTATION, "truth.json"]
    )
    truth = json.loads((tmp_path / "out" / "truth.json").read_text(encoding="utf-8"))
    assert truth["grade"] == "well" and truth["drawn_into_a_scan"] and truth["lesions_before_ml"] > 0
    read = open_case(tmp_path / "out" / NAMES[Modality.CT], segmentation=tmp_path / "out" / SEGMENTATION)
    before = open_case(phantom_folder / NAMES[Modality.CT], segmentation=phantom_folder / SEGMENTATION)
    assert (read.tumor & ~before.tumor).any() and not (before.tumor & ~read.tumor).any()
    for wrong in (images, masks, [*images, *masks, "--dicom"], [*images, *masks, "--biology", "independent"]):
        assert main([*command, *wrong]) == 2
    said = capsys.readouterr()
    assert said.out == f"Wrote the scan with drawn lesions, grade well, into {tmp_path / 'out'}.\n"
    assert "Traceback" not in said.err


def prepared(folder, output, *more):
    assert main(["prepare", *case_arguments(folder), "--output", str(output), *more]) == 0
    return json.loads((output / "prepared.json").read_text(encoding="utf-8"))


def test_prepare_writes_three_representations_of_the_case(case_folder, bundle_folder, tmp_path):
    said = prepared(case_folder, tmp_path / "out", "--bundle", str(bundle_folder))
    assert said["preparation"]["field"] == "liver"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*said["files"], "prepared.json"])
    case = small_case()
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    for modality in Modality:
        whole = read_volume(tmp_path / "out" / f"{modality.value}_normalized.nii.gz")
        masked = read_volume(tmp_path / "out" / f"{modality.value}_masked.nii.gz")
        assert whole.shape == tuple(said["preparation"]["shape"]) == masked.shape
        outside = masked.array == masked.array.min()
        assert np.array_equal(masked.array[~outside], whole.array[~outside])
        inside_ml = (~outside).sum() * whole.voxel_ml
        assert inside_ml == pytest.approx(case.liver.sum() * case.reference.voxel_ml, rel=0.1)
        own = case.volumes[modality]
        for n, lesion in enumerate(regions.lesions, start=1):
            crop = read_volume(tmp_path / "out" / f"{modality.value}_lesion_{n}.nii.gz")
            start = np.rint(np.linalg.inv(own.ijk_to_ras) @ crop.ijk_to_ras[:, 3])[:3].astype(int)[::-1]
            same = own.array[tuple(slice(a, a + n) for a, n in zip(start, crop.shape))]
            assert np.array_equal(crop.array, same)  # unchanged values at the right position
            index = np.linalg.inv(crop.ijk_to_ras) @ [*lesion.centroid_ras, 1]
            assert np.all(index[:3] > 0) and np.all(index[:3] < np.array(crop.shape[::-1]) - 1)
    for n, lesion in enumerate(regions.lesions, start=1):
        mask = read_volume(tmp_path / "out" / f"lesion_{n}_mask.nii.gz")
        assert int(mask.array.sum()) == lesion.voxels
        assert mask.shape == read_volume(tmp_path / "out" / f"ct_lesion_{n}.nii.gz").shape


def test_prepare_with_paper_uses_the_grid_and_the_normalization_of_the_paper(case_folder, tmp_path):
    said = prepared(case_folder, tmp_path / "out", "--paper")
    ct = read_volume(tmp_path / "out" / "ct_normalized.nii.gz")
    assert ct.shape == (64, 224, 224)
    assert float(ct.array.mean()) == pytest.approx(0, abs=1e-3)
    assert float(ct.array.std()) == pytest.approx(1, abs=1e-3)
    assert said["preparation"]["pet"] == "percentile"
