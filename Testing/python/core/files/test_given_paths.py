"""A list may name any path: devices, pipes and whole disks are refused at once, and the other cases continue."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import REACTKDLib.core.files.given_paths as module
from REACTKDLib.core.cases.case_list import open_case_list
from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.cases.open_job import open_job, read_job
from REACTKDLib.core.errors import BundleIncomplete, FileMissing, NotAnImage, ReactkdError
from REACTKDLib.core.files.dicom.index import index_folder
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.student.ensemble import load_model_folder
from REACTKDLib.core.task import Task
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from support.case_files import write_case
from support.small_cases import small_case
from support.waits import within


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("given")
    write_case(small_case(), root / "in" / "a")
    os.mkfifo(root / "in" / "pipe.nii")
    os.mkfifo(root / "in" / "pipe.seg.nrrd")
    for n in range(40):
        (root / f"n{n}").mkdir()
    return root / "in"


def listed(folder: Path, cell: str, column: str) -> Path:
    cells = {"ct": "a/CT.nii.gz", "segmentation": "a/segmentation.seg.nrrd"} | {column: cell}
    (folder / "list.csv").write_text(f"case,ct,segmentation\nodd,{cells['ct']},{cells['segmentation']}\n")
    return folder / "list.csv"


TOO_LONG = Path("a" * 300)


@pytest.mark.parametrize(
    "read",
    [lambda p: read_volume(p.with_suffix(".nii")), lambda p: open_case(ct=p, segmentation=p), open_case_list,
     index_folder, read_dicom_segmentation, Task.read, load_model_folder],
)  # fmt: skip
def test_a_name_that_is_too_long_is_a_missing_file(read):
    with pytest.raises((FileMissing, BundleIncomplete)):
        read(TOO_LONG)


def test_a_name_that_is_too_long_in_a_list_is_a_missing_file(folder):
    missing = open_case_list(listed(folder, str(TOO_LONG), "ct")).cases[0].problems
    assert missing == ("The file of the CT is missing; correct the path.",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe")
@pytest.mark.parametrize("column", ["ct", "segmentation"])
@pytest.mark.parametrize(
    ("cell", "words"),
    [("/dev/zero", "device or a pipe"), ("pipe.nii", "device or a pipe"), ("pipe.seg.nrrd", "device or a pipe"),
     ("..", "files and folders"), ("/", "files and folders"), ("../..", "files and folders")],
)  # fmt: skip
def test_devices_and_pipes_are_refused_at_once(folder, monkeypatch, column, cell, words):
    monkeypatch.setattr(module, "MOST_ENTRIES", 30)
    path = listed(folder, cell, column)
    with within(5):
        case = open_case_list(path).cases[0]
        with pytest.raises(NotAnImage, match=words):
            open_job(case.job)
        if column == "ct":
            with pytest.raises(NotAnImage, match=words):
                read_job(case.job)
        cohort = open_cohort(str(path))
        with pytest.raises(ReactkdError, match=words):
            cohort.cases[0].load()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe")
@pytest.mark.parametrize("odd", ["ct", "liver", "tumor"])
def test_separate_mask_files_are_checked_too(folder, odd):
    entry = {
        "ct": "a/CT.nii.gz",
        "liver": "a/segmentation.seg.nrrd",
        "tumor": "a/segmentation.seg.nrrd",
        odd: "pipe.nii",
    }
    (folder / "list.json").write_text(json.dumps({"training": [entry]}))
    with pytest.raises(NotAnImage, match="device or a pipe"):
        open_job(open_case_list(folder / "list.json").cases[0].job)
    with pytest.raises(NotAnImage, match="device or a pipe"):
        open_cohort(str(folder / "list.json")).cases[0].load()


@pytest.mark.parametrize("name", ["a\0b.nii", "a\ud800.nii"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(FileMissing, match="none that a file can have"):
        module.check_path(name, "the CT")


@pytest.mark.skipif(os.name == "nt", reason="Windows takes both")
def test_backslashes_of_a_list_from_windows_are_named(tmp_path):
    with pytest.raises(FileMissing, match="path of the CT has backslashes, as on Windows, .* write '/' instead"):
        module.check_path(tmp_path / "a\\CT.nii.gz", "the CT")
    (tmp_path / "a\\CT.nii.gz").touch()
    module.check_path(tmp_path / "a\\CT.nii.gz", "the CT")


def test_a_regular_case_still_opens(folder):
    case = open_job(open_case_list(listed(folder, "a/CT.nii.gz", "ct")).cases[0].job)
    assert case.tumor.sum() == small_case().tumor.sum()
