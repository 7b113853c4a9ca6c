"""`grade` and `check` on DICOM folders, as a user runs them."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from REACTKDLib.__main__ import main
from REACTKDLib.core.errors import PackagesMissing
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.modality import Modality
from support.case_files import NAMES, SEGMENTATION
from support.dicom_files import pet_tags, write_seg, write_series
from support.small_cases import small_case


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The small case as in a PACS archive, with a patient's name in every file."""
    root, case = tmp_path_factory.mktemp("dicom"), small_case()
    shared = {"patient": "Doe^Jane"}
    paths = []
    for modality, volume in case.volumes.items():
        matrix = np.diag([-1.0, -1, 1, 1]) @ volume.ijk_to_ras
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        axes = [*(matrix[:3, 0] / spacing[0]), *(matrix[:3, 1] / spacing[1])]
        scale = 1.0 if modality.value == "ct" else 0.01
        stored = np.rint(volume.array / scale).clip(-32768, 32767).astype(np.int16)
        pet = {} if modality.value == "ct" else {"modality": "PT", "common": pet_tags(Units="GML"), "slope": scale}
        if modality.value == "acetate":
            continue
        written = write_series(
            root / modality.value, stored, spacing=spacing, origin=matrix[:3, 3], axes=axes, name=modality.value,
            **shared, **pet,
        )  # fmt: skip
        paths = paths or written
    write_seg(root / "seg.dcm", paths, {"Liver": case.liver, "Mass": case.tumor})
    return root


def test_grade_from_dicom_folders(folder, bundle_folder, tmp_path, call_command):
    files = ["--ct", folder / "ct", "--fdg", folder / "fdg", "--segmentation", folder / "seg.dcm"]
    done = call_command("grade", *files, "--bundle", bundle_folder, "--output", tmp_path / "out", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["inputs"] == ["ct", "fdg"] and report["grade"] in ("well", "moderate", "poor")
    assert all(b"Doe" not in path.read_bytes() for path in (tmp_path / "out").iterdir())
    regions = read_volume(tmp_path / "out" / "regions.nii.gz").array
    assert np.array_equal(regions > 1, small_case().tumor)


def test_dicom_and_nifti_give_the_same_numbers(folder, case_folder, capsys):
    told = []
    images = [(folder / "ct", folder / "seg.dcm"), (case_folder / "CT.nii.gz", case_folder / "segmentation.seg.nrrd")]
    for ct, segmentation in images:
        assert main(["check", "--ct", str(ct), "--segmentation", str(segmentation)]) == 0
        told.append(json.loads(capsys.readouterr().out))
    dicom, files = told
    assert dicom["liver_ml"] == pytest.approx(files["liver_ml"], rel=1e-3)
    assert [x["volume_ml"] for x in dicom["lesions"]] == pytest.approx(
        [x["volume_ml"] for x in files["lesions"]], rel=1e-3
    )
    assert np.allclose(*([x["centroid_ras_mm"] for x in t["lesions"]] for t in told), atol=0.05)


@pytest.mark.parametrize("spoiled", ["--ct", "--fdg", "--segmentation"])
@pytest.mark.parametrize("installed", [True, False])
def test_a_folder_of_images_that_are_no_dicom_asks_for_a_file_and_not_for_a_package(
    case_folder, capsys, monkeypatch, installed, spoiled
):
    if not installed:
        monkeypatch.setitem(sys.modules, "pydicom", None)  # importing it then fails as if it were not installed
    files = {"--ct": NAMES[Modality.CT], "--fdg": NAMES[Modality.FDG], "--segmentation": SEGMENTATION}
    given = {**{option: case_folder / name for option, name in files.items()}, spoiled: case_folder}
    assert main(["check", *(str(word) for pair in given.items() for word in pair)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "holds no DICOM images; give a file, or the folder of a DICOM series" in told


def test_a_pet_folder_that_holds_a_ct_is_refused_in_one_sentence(folder, capsys):
    files = ["--ct", folder / "ct", "--fdg", folder / "ct", "--segmentation", folder / "seg.dcm"]
    assert main(["check", *map(str, files)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "no PET series (it holds 'CT')" in told


@pytest.mark.parametrize("package", ["pydicom", "highdicom"])
def test_without_the_package_one_sentence_says_what_to_install(folder, capsys, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # importing it then fails as if it were not installed
    assert main(["check", "--ct", str(folder / "ct"), "--segmentation", str(folder / "seg.dcm")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"pip install {package}" in told
    assert PackagesMissing.code == "packages-missing"
