"""The public API: files, images of other libraries and arrays give the same case, and the same grade as `grade`."""

from __future__ import annotations

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

import REACTKDLib
from REACTKDLib import Unit, Volume, grade, load_model, read_case, read_cases
from REACTKDLib.__main__ import main
from REACTKDLib.core.cases.open_job import open_job
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import NotHounsfield, ReactkdError, UsageError
from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.volumes import read_volume, write_volume
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.modality import Modality
from support.kidney_phantoms import KIDNEY, draw
from support.small_cases import small_case
from support.small_models import small_bundle

NAMES = {Modality.CT: "ct", Modality.FDG: "fdg", Modality.ACETATE: "acetate"}


@pytest.fixture(scope="module")
def model() -> Grader:
    return Grader(small_bundle(1), "cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict:
    """Three images and their masks as files."""
    folder, case = tmp_path_factory.mktemp("api"), small_case()
    made = {name: write_volume(case.volumes[m], folder / f"{name}.nii.gz") for m, name in NAMES.items()}
    masks = [("Liver", "liver", case.liver), ("Tumor", "tumor", case.tumor)]
    made["segmentation"] = write_segmentation(masks, case.reference.ijk_to_ras, folder / "masks.seg.nrrd")
    return made


@pytest.fixture(scope="module")
def expected(files, model) -> REACTKDLib.GradeReport:
    return grade(read_case(**files), model=model)


def same(report, expected) -> None:
    assert report.grade == expected.grade and report.inputs == expected.inputs
    assert report.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
    ml, expected_ml = ([r.volume_ml for r in found.regions if r.volume_ml is not None] for found in (report, expected))
    assert ml == pytest.approx(expected_ml, rel=1e-4)


def test_one_call_grades_files(files, model, expected):
    same(grade(**files, model=model, case_id="one"), expected)
    assert grade(**files, model=model, case_id="one").case == "one" and expected.case == "case"


def test_images_of_simpleitk_and_nibabel_give_the_same_result_as_files(files, model, expected):
    images = {name: sitk.ReadImage(str(files[name])) for name in NAMES.values()}
    same(grade(**images, segmentation=files["segmentation"], model=model), expected)
    images = {name: nibabel.load(files[name]) for name in NAMES.values()}
    same(grade(**images, segmentation=files["segmentation"], model=model), expected)
    mixed = {"ct": files["ct"], "fdg": sitk.ReadImage(str(files["fdg"])), "acetate": images["acetate"]}
    same(grade(**mixed, segmentation=files["segmentation"], model=model), expected)


def test_arrays_and_label_images_are_masks(files, model, expected):
    case = read_case(**files)
    images = {name: files[name] for name in NAMES.values()}
    same(grade(**images, liver=case.liver, tumor=case.tumor, model=model), expected)
    volumes = {NAMES[m]: volume for m, volume in case.volumes.items()}
    same(grade(**volumes, liver=case.liver, tumor=case.tumor, model=model), expected)
    labels = sitk.GetImageFromArray((case.liver.astype(np.uint8) + case.tumor).astype(np.uint8))
    labels.CopyInformation(sitk.ReadImage(str(files["ct"])))
    same(grade(**images, segmentation=labels, liver=[1, 2], tumor=2, model=model), expected)


def test_without_a_tumor_no_grade_is_given(files, model):
    case = read_case(files["ct"], liver=read_case(**files).liver)
    assert grade(case, model=model).grade is None


def test_the_shipped_student_is_the_default():
    assert load_model(device="cpu").bundle.info["name"] == "reactkd-phantom"


def test_a_volume_keeps_its_unit_and_a_nibabel_image_its_second_place(files):
    case = read_case(**files)
    fdg = case.volumes[Modality.FDG]
    stated = read_case(fdg=Volume(fdg.array, fdg.ijk_to_ras, Unit.BQML), segmentation=files["segmentation"])
    assert stated.volumes[Modality.FDG].unit is Unit.BQML
    image = nibabel.load(files["ct"])
    moved = image.affine.copy()
    moved[0, 3] += 40
    image.set_qform(moved, code=1)
    both = read_case(image, segmentation=files["segmentation"])
    nibabel.save(image, files["ct"].with_name("two.nii.gz"))
    file = read_case(files["ct"].with_name("two.nii.gz"), segmentation=files["segmentation"])
    assert [f.code for f in both.findings] == [f.code for f in file.findings] != []
    assert np.allclose(both.reference.ijk_to_ras, file.reference.ijk_to_ras)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ct": np.zeros((4, 4, 4))}, "does not say where the CT lies"),
        ({"ct": 7}, "given as int"),
        ({"segmentation": None}, "give the masks of the liver"),
        ({"liver": np.zeros((3, 3, 3), bool)}, "names of its segments"),
        ({"segmentation": None, "liver": np.zeros((3, 3, 3), bool)}, "on the grid of the image"),
        ({"ct": None, "fdg": None, "acetate": None}, "No image is given"),
        ({"ct": sitk.Image([4, 4, 4], sitk.sitkVectorFloat32, 3)}, "3 values in each voxel"),
        ({"ct": sitk.Image([4, 4], sitk.sitkFloat32)}, "single slice"),
        ({"ct": nibabel.Nifti1Image(np.full((5, 5, 5), np.nan, np.float32), np.eye(4))}, "NaN"),
    ],
)
def test_unusable_arguments_are_refused_in_one_sentence(files, change, said):
    with pytest.raises(ReactkdError, match=said) as caught:
        read_case(**{**files, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "unit"), [("ct", Unit.SUVBW), ("ct", Unit.BQML), ("fdg", Unit.HU), ("acetate", Unit.HU)]
)
def test_an_impossible_unit_is_refused(files, name, unit):
    image = read_volume(files[name])
    images = {"ct": files["ct"], name: Volume(image.array, image.ijk_to_ras, unit)}
    with pytest.raises(ReactkdError, match=f"given as a volume in {unit.value}"):
        read_case(**images, segmentation=files["segmentation"])


def test_a_stated_unit_is_not_an_inferred_one(files):
    fdg = read_volume(files["fdg"], Modality.FDG)
    for given, inferred in ((fdg, True), (Volume(fdg.array, fdg.ijk_to_ras, Unit.SUVBW), False)):
        volume = read_case(fdg=given, segmentation=files["segmentation"]).volumes[Modality.FDG]
        assert (volume.unit, volume.unit_inferred) == (Unit.SUVBW, inferred)


def test_an_image_in_memory_is_checked_as_a_file_is(files):
    image = sitk.Cast(sitk.ReadImage(str(files["ct"])), sitk.sitkFloat32)
    with pytest.raises(NotHounsfield):
        read_case(image / 1000, segmentation=files["segmentation"])


def test_a_case_and_images_together_or_a_path_as_the_case_are_refused(files, model):
    for arguments in ({}, {"case": read_case(**files), "ct": files["ct"]}, {"case": files["ct"]}):
        with pytest.raises(UsageError, match="Give either a case"):
            grade(**arguments, model=model)


def test_the_import_loads_nothing_heavy():
    heavy = "[m for m in ('torch', 'numpy', 'SimpleITK') if m in sys.modules]"
    code = f"import sys, REACTKDLib; print({heavy}, dir(REACTKDLib))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert out.startswith("[]") and "load_model" in out
    with pytest.raises(AttributeError):
        REACTKDLib.nothing  # noqa: B018


def test_a_report_is_a_table_and_a_figure(files, model, expected, tmp_path):
    """The table equals regions.csv, and the figure shows what the panel shows."""
    pandas = pytest.importorskip("pandas")
    expected.write_csv(tmp_path / "regions.csv")
    table, file = expected.regions.to_dataframe(), pandas.read_csv(tmp_path / "regions.csv")
    assert list(table.columns) == list(file.columns) and list(table["name"]) == list(file["name"])
    assert np.allclose(table["share"], file["share"], atol=1e-8)
    start = expected.without_regions[expected.grade]
    assert table["share"].sum() + start == pytest.approx(expected.probabilities[expected.grade], abs=1e-6)
    figure = expected.show()
    said = " ".join(text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text")))
    assert "Lesion 1" in said and "without any region" in said and expected.model.clinical_use in said
    figure.savefig(tmp_path / "report.png")
    none = grade(read_case(files["ct"], liver=read_case(**files).liver), model=model)
    none.show().savefig(tmp_path / "none.png")
    assert len(none.regions.to_dataframe()) == len(none.regions)


def test_a_list_is_read_case_by_case(files, model, expected, tmp_path):
    """A CSV, a datalist, its entries and a DICOM folder give the same cases as `read_case`, and faults in order."""
    keys = {name: str(files[name]) for name in (*NAMES.values(), "segmentation")}
    entries = [{"id": "one", **keys, "grade": "poor", "patient": "p"}, {"id": "two", **keys, "ct": "nowhere.nii.gz"}]
    (tmp_path / "cases.json").write_text(json.dumps({"training": entries}))
    table = [("case", *keys), ("one", *keys.values()), ("two", "nowhere.nii.gz", *list(keys.values())[1:])]
    (tmp_path / "cases.csv").write_text("\n".join(",".join(row) for row in table))
    for cases in (entries, tmp_path / "cases.json", str(tmp_path / "cases.csv")):
        faults: list = []
        read = list(read_cases(cases, on_fault=lambda name, error: faults.append((name, error))))  # noqa: B023
        assert [case.id for case in read] == ["one"]
        same(grade(read[0], model=model), expected)
        assert [name for name, _error in faults] == ["two"] and isinstance(faults[0][1], ReactkdError)
    with pytest.raises(ReactkdError, match="CT"):
        list(read_cases(entries[::-1]))
    with pytest.raises(UsageError, match="segmentaton"):  # unknown keys are ignored; a misspelled one is an error
        read_cases([{"ct": "a", "segmentaton": "b"}])


def test_a_list_is_read_by_the_words_of_its_task(tmp_path):
    """Segments selected by a column named after the organ, and mask files named after the task's organ and lesion."""
    ct, whole, mass = draw(3, -20.0)
    left = whole & (np.arange(whole.shape[2]) < whole.shape[2] // 2)
    write_volume(ct, tmp_path / "ct.nii.gz")
    named = [("Kidney", "liver", whole & ~left), ("Left kidney", "liver", left), ("Mass", "tumor", mass & left)]
    write_segmentation(named, ct.ijk_to_ras, tmp_path / "k.seg.nrrd", KIDNEY)
    (tmp_path / "k.csv").write_text("case,ct,segmentation,kidney\na,ct.nii.gz,k.seg.nrrd,Left kidney\n")
    (listed,) = read_cases(tmp_path / "k.csv", task=KIDNEY)
    (as_batch,) = (open_job(job, task=KIDNEY) for job in read_worklist(tmp_path / "k.csv", KIDNEY))
    assert np.array_equal(listed.liver, as_batch.liver) and np.array_equal(listed.liver, left | (mass & left))
    for name, mask in (("whole", whole), ("mass", mass)):
        write_volume(Volume(mask.astype(np.uint8), ct.ijk_to_ras), tmp_path / f"{name}.nii.gz")
    entry = {"ct": "ct.nii.gz", "kidney": "whole.nii.gz", "mass": "mass.nii.gz"}
    (listed,) = read_cases([{key: str(tmp_path / file) for key, file in entry.items()}], task=KIDNEY)
    assert np.array_equal(listed.liver, whole | mass) and np.array_equal(listed.tumor, mass)


def test_a_dicom_folder_is_an_image_of_a_case_and_of_a_list(tmp_path):
    folder = tmp_path / "case"
    assert (
        main(
            [
                "phantom",
                "--grade",
                "poor",
                "--seed",
                "4",
                "--size",
                "small",
                "--dicom",
                "--biology",
                "independent",
                "--output",
                str(folder),
            ]
        )
        == 0
    )
    images = {"ct": str(folder / "CT"), "fdg": str(folder / "FDG"), "segmentation": str(folder / "segmentation.dcm")}
    case = read_case(**images)
    (listed,) = read_cases([images])
    assert listed.has_images_of(case) and np.array_equal(listed.tumor, case.tumor) and case.tumor.any()
    assert case.volumes[Modality.FDG].unit is Unit.SUVBW and listed.id == "case-0000"


@pytest.mark.parametrize(
    ("name", "nearest"), [("ctt", "ct"), ("segmentaton", "segmentation"), ("lesion", None), ("fdg_pet", None)]
)
def test_an_unknown_name_of_grade_is_answered_by_grade(name, nearest):
    """The sentence named read_case, which nobody had called, and came only after the model was loaded."""
    with pytest.raises(TypeError) as fault:
        REACTKDLib.grade(**{name: "a.nii.gz"}, model="no such folder")
    said = str(fault.value)
    assert said.startswith(f"grade() has no argument {name!r}") and "read_case()" not in said
    assert all(known in said for known in ("ct", "fdg", "acetate", "segmentation", "liver", "tumor", "case_id"))
    assert (f"did you mean {nearest!r}" in said) == (nearest is not None)
