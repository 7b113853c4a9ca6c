"""Lists of cases: a folder, a CSV and a datalist give the same list, and faults are reported case by case."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.cases.case_list import open_case_list, with_masks
from REACTKDLib.core.cases.datalist import jobs_of_datalist
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.open_job import open_job, read_job
from REACTKDLib.core.errors import FileMissing, NoVolume, ReactkdError, UsageError
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from support.case_files import NAMES, SEGMENTATION, write_case
from support.small_cases import small_case

CASES = ("a", "b")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two cases as folders, and next to them the same two listed in a CSV and in a datalist."""
    root = tmp_path_factory.mktemp("cases") / "folder"
    for name in CASES:
        write_case(small_case(), root / name)
    files = {"ct": NAMES[Modality.CT], "fdg": NAMES[Modality.FDG], "acetate": NAMES[Modality.ACETATE]}
    files["segmentation"] = SEGMENTATION
    rows = [[name, *(f"folder/{name}/{file}" for file in files.values()), "poor"] for name in CASES]
    lines = [",".join(["case", *files, "grade"]), *(",".join(row) for row in rows)]
    (root.parent / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    entries = [{"id": row[0], **dict(zip(files, row[1:])), "grade": "poor", "fold": 0} for row in rows]
    told = {"training": entries[:1], "validation": [], "test": entries[1:], "numTraining": 1}
    (root.parent / "list.json").write_text(json.dumps(told), encoding="utf-8")
    return root


@pytest.mark.parametrize("form", ["folder", "list.csv", "list.json"])
def test_a_folder_a_csv_and_a_datalist_give_the_same_list(folder, form):
    cases = open_case_list(folder.parent / form)
    assert [case.id for case in cases.cases] == list(CASES)
    for case in cases.cases:
        assert case.modalities == tuple(Modality) and case.has_masks and case.problems == ()
        assert all(path.is_file() for path in (*case.job.images.values(), case.job.segmentation))
    assert cases.find("b") == 1 and cases.find("c") is None


def test_review_files_are_beside_a_list_file_and_inside_a_list_folder(folder):
    listed, inside = open_case_list(folder.parent / "list.csv"), open_case_list(folder)
    assert listed.review_file == folder.parent / "list.csv.reactkd.json"
    assert inside.review_file == folder / "review.reactkd.json"
    assert inside.masks_folder == folder / "review.reactkd.masks"


@pytest.mark.parametrize(
    "other",
    ["CT.nrrd", "ct.NII", "CT.nhdr", "ct/", "segmentation.nii.gz", "Segmentation.dcm", "fdg/", "SEGMENTATION/"],
)
def test_a_folder_with_two_files_for_one_image_is_refused(folder, tmp_path, other):
    shutil.copytree(folder / "a", tmp_path / "in" / "a")
    second = tmp_path / "in" / "a" / other
    if other.endswith("/"):
        second.mkdir()
    else:
        second.write_bytes(b"")
    with pytest.raises(UsageError, match=f"folder 'a' holds .*{second.name}.* of which each may be the"):
        open_case_list(tmp_path / "in")


def test_one_case_in_place_of_a_list_is_refused_with_the_folder_to_give(folder):
    with pytest.raises(UsageError, match="is one case; give the folder that it lies in"):
        open_case_list(folder / "a")


def test_an_image_in_place_of_a_list_is_refused(folder):
    with pytest.raises(UsageError, match="no table of text; give another file"):
        open_case_list(folder / "a" / NAMES[Modality.CT])


def test_an_image_is_found_by_every_suffix_that_is_read(tmp_path):
    for suffix in (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"):
        (tmp_path / "in" / suffix[1:]).mkdir(parents=True)
        (tmp_path / "in" / suffix[1:] / f"Ct{suffix}").write_bytes(b"")
    assert all(Modality.CT in case.job.images for case in open_case_list(tmp_path / "in").cases)


def test_the_folders_of_a_review_are_not_cases(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "in")
    cases = open_case_list(tmp_path / "in")
    for own in (cases.masks_folder, cases.results_folder):
        own.mkdir()
    assert [case.id for case in open_case_list(tmp_path / "in").cases] == list(CASES)


def test_the_problems_of_a_list_are_reported_for_each_case(folder, tmp_path):
    lines = [
        "case,ct,fdg,segmentation",
        f"gone,{folder}/a/none.nii.gz,,{folder}/a/{SEGMENTATION}",
        f"unmasked,,{folder}/a/{NAMES[Modality.FDG]},",
        f",,,{folder}/a/nothing.seg.nrrd",
    ]
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    gone, unmasked, empty = open_case_list(tmp_path / "list.csv").cases
    assert gone.problems == ("The file of the CT is missing; correct the path.",)
    assert unmasked.modalities == (Modality.FDG,) and not unmasked.has_masks
    assert unmasked.problems == ("No segmentation is listed; draw the liver and its tumors.",)
    assert empty.id == "case-3" and len(empty.problems) == 2
    assert not any(str(tmp_path) in problem for case in (gone, unmasked, empty) for problem in case.problems)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("[1]", "object with a list"),
        ("{", "not readable JSON"),
        ('{"training": [1]}', "not an object"),
        ('{"training": {}}', "no case"),
        ('{"training": "a"}', "a list"),
        ('{"training": [{"id": "a", "picture": "x"}]}', "unknown key 'picture'"),
        ('{"training": [{"id": "a", "image": ["x", "y"]}]}', "image 1 that is 'not named'"),
        ('{"modality": {"0": "MRI"}, "training": [{"id": "a", "image": "x"}]}', "is 'MRI'"),
        ('{"training": [{"id": "a", "ct": ["x"]}]}', "one path"),
        ('{"training": [{"id": "a"}], "test": [{"id": "A"}]}', "more than once"),
        ('{"training": [{"id": "a", "ct": "x", "liver": "y"}]}', "has 'liver' but no 'tumor'"),
        ('{"training": [{"id": "a", "ct": "x", "tumor": "y"}]}', "has 'tumor' but no 'liver'"),
        ('{"schema": "reactkd-review/1"}', "review of a list"),
    ],
)
def test_a_datalist_with_wrong_content_is_refused(tmp_path, told, words):
    (tmp_path / "list.json").write_text(told, encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        open_case_list(tmp_path / "list.json")


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("CT", "ct"), ("CT portal venous", "ct"), ("FDG PET", "fdg"), ("18F-FDG", "fdg"), ("FDG PET/CT", "fdg"),
        ("11C-ACT", "acetate"), ("acetate", "acetate"), ("PET", None), ("SPECT", None), ("pet_ct", None),
        ("FDG and acetate", None), ("T2", None),
    ],
)  # fmt: skip
def test_the_name_of_a_channel_selects_the_image_type(tmp_path, channel, said):
    """Read in the same way as names of nodes and files: "PET" alone does not name the tracer."""
    listing = {"modality": {"0": channel}, "training": [{"id": "a", "image": "x.nii.gz"}]}
    (tmp_path / "list.json").write_text(json.dumps(listing), encoding="utf-8")
    if said is None:
        with pytest.raises(UsageError, match=f"is '{channel}'.*name each channel CT, FDG or acetate"):
            jobs_of_datalist(tmp_path / "list.json")
    else:
        (job,) = jobs_of_datalist(tmp_path / "list.json")
        assert list(job.images) == [Modality(said)]


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(FileMissing, match="no worklist"):
        open_case_list(tmp_path / "none.csv")


def test_file_names_are_safe_and_differ(tmp_path):
    ids = ["a/b", "a_b", "a:b", "..", "Müller 1", "x" * 200, "x" * 201]
    lines = ["case,ct,segmentation", *(f"{name},ct.nii,seg.nii" for name in ids)]
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    names = [case.file_name for case in open_case_list(tmp_path / "list.csv").cases]
    assert len(set(names)) == len(ids) and names[1] == "a_b"
    assert all(name and len(name) < 80 and not set(name) & set('/\\:*?"<>|') and name[0] != "." for name in names)


def test_masks_in_separate_files_are_read(folder, tmp_path):
    """Allowed in a datalist: any nonzero value belongs to the mask, and the tumor mask may have another grid."""
    case = small_case()
    matrix = case.reference.ijk_to_ras
    write_volume(Volume(case.liver.astype(np.uint8) * 5, matrix), tmp_path / "liver.nii.gz")
    half = matrix.copy()
    half[:3, 3] = (matrix @ [4, 4, 4, 1])[:3]
    write_volume(Volume(case.tumor[4:, 4:, 4:].astype(np.uint8), half), tmp_path / "tumor.nii.gz")
    told = {"training": [{"ct": f"{folder}/a/CT.nii.gz", "liver": "liver.nii.gz", "tumor": "tumor.nii.gz"}]}
    (tmp_path / "list.json").write_text(json.dumps(told), encoding="utf-8")
    (only,) = open_case_list(tmp_path / "list.json").cases
    assert only.id == "case-0000" and only.has_masks and only.problems == ()
    opened = open_job(only.job)
    assert opened.id == "case-0000"
    assert (opened.liver == case.liver).all() and (opened.tumor == case.tumor).all()


def test_a_case_opened_for_display_has_the_masks_as_drawn(folder):
    files = read_job(open_case_list(folder).cases[0].job)
    assert tuple(files.volumes) == tuple(Modality) and files.problem == ""
    assert [files.segmentation.segments[i].name for i in (*files.livers, *files.tumors)] == ["Liver", "Tumor"]
    assert (files.segmentation.mask(files.tumors) == small_case().tumor).all()


def test_labels_without_names_are_named_liver_and_tumor(folder, tmp_path):
    case = small_case()
    labels = case.liver.astype(np.uint8) + case.tumor
    write_volume(Volume(labels, case.reference.ijk_to_ras), tmp_path / "labels.nii.gz")
    job = Job("a", {Modality.CT: folder / "a" / NAMES[Modality.CT]}, tmp_path / "labels.nii.gz")
    files = read_job(job)
    assert [segment.name for segment in files.segmentation.segments] == ["Liver", "Tumor"]
    assert "10200004" in files.segmentation.segments[0].terminology


def test_a_case_with_unusable_masks_still_shows_its_images(folder, tmp_path):
    (tmp_path / "broken.seg.nrrd").write_text("no")
    images = {Modality.CT: folder / "a" / NAMES[Modality.CT]}
    for job, words in (
        (Job("a", images), "draw the masks"),
        (Job("a", images, tmp_path / "broken.seg.nrrd"), "segmentation"),
        (Job("a", images, folder / "a" / SEGMENTATION, liver=("Spleen",)), "no segment 'Spleen'"),
    ):
        files = read_job(job)
        assert words in files.problem and tuple(files.volumes) == (Modality.CT,)
        with pytest.raises(ReactkdError):
            open_job(job)
    with pytest.raises(NoVolume):
        read_job(Job("a"))


def test_corrected_masks_replace_the_listed_ones(tmp_path):
    job = Job("a", segmentation=tmp_path / "old.nii", liver=("1",), mask_files=(tmp_path, tmp_path))
    assert with_masks(job, None) == job
    new = with_masks(job, tmp_path / "new.seg.nrrd", ("Liver",))
    assert new.segmentation.name == "new.seg.nrrd" and new.mask_files is None
    assert new.liver == ("Liver",) and new.tumor is None


def test_a_case_folder_with_dicom_folders_is_read(tmp_path):
    for name in ("CT", "fdg", "SEGMENTATION"):
        (tmp_path / "one" / name).mkdir(parents=True)
    (only,) = open_case_list(tmp_path).cases
    assert only.modalities == (Modality.CT, Modality.FDG) and only.job.segmentation.name == "SEGMENTATION"
