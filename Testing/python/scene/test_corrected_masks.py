"""A review that was edited or comes from elsewhere gives no access to masks outside its folder or of another case."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from support.case_files import write_case
from support.reading_steps import edit, go, listed_case, tumor, write_cases
from support.scene_files import save_scene

AT = "2026-01-01T00:00:00Z"
OWN = "review.reactkd.masks"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Two cases, and masks that belong to neither."""
    root = tmp_path_factory.mktemp("files")
    write_cases(root / "cases", "a", "b")
    write_case(listed_case(lesions={}), root / "elsewhere")
    return root


@pytest.fixture
def listed(files, tmp_path) -> Path:
    shutil.copytree(files, tmp_path / "x")
    return tmp_path / "x" / "cases"


def record(listed: Path, file: str, case: str = "a") -> None:
    told = {case: {"masks": {"file": file, "at": AT}}}
    text = {"schema": "reactkd-review/1", "revision": 1, "writer": "x", "cases": told}
    (listed / "review.reactkd.json").write_text(json.dumps(text), encoding="utf-8")


def every_file(listed: Path) -> dict[str, bytes]:
    """Every file, except those that reading a list may write."""
    root = listed.parent
    names = {path: str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for path, name in names.items() if "reactkd" not in name}


LEADS = {
    "absolute": lambda listed: str(listed.parent / "elsewhere" / "segmentation.seg.nrrd"),
    "upward": lambda listed: "../elsewhere/segmentation.seg.nrrd",
    "upward through its folder": lambda listed: f"{OWN}/../../elsewhere/segmentation.seg.nrrd",
    "the list's own": lambda listed: "a/segmentation.seg.nrrd",
    "another case's": lambda listed: "b/segmentation.seg.nrrd",
    "backslashes": lambda listed: f"{OWN}\\..\\a\\segmentation.seg.nrrd",
    "deeper": lambda listed: f"{OWN}/a/segmentation.seg.nrrd",
    "no suffix": lambda listed: f"{OWN}/a.nii.gz",
    "nothing": lambda listed: "",
    "itself": lambda listed: "review.reactkd.json",
    "a device": lambda listed: "/dev/zero",
    "NUL": lambda listed: f"{OWN}/a\0.seg.nrrd",
    "half a surrogate": lambda listed: f"{OWN}/\ud800.seg.nrrd",
    "corrected masks of b": lambda listed: f"{OWN}/b.seg.nrrd",
}


@pytest.mark.parametrize("lead", LEADS.values(), ids=LEADS)
def test_a_record_cannot_refer_to_files_outside_its_folder(start, listed, lead):
    (listed / OWN).mkdir()
    shutil.copy(listed.parent / "elsewhere" / "segmentation.seg.nrrd", listed / OWN / "b.seg.nrrd")
    record(listed, lead(listed))
    before, of_b = every_file(listed), (listed / OWN / "b.seg.nrrd").read_bytes()
    reading = start(listed)
    go(reading, 0)
    assert tumor(reading).any() and "no file of this case in its own folder" in reading.message
    voxels = edit(reading)
    go(reading, 1)
    assert not tumor(reading).any(), "b has its own corrected masks"
    assert every_file(listed) == before and (listed / OWN / "b.seg.nrrd").read_bytes() == of_b
    assert reading.review.of("a").masks["file"] == f"{OWN}/a.seg.nrrd"
    go(reading, 0)
    assert tumor(reading).sum() == voxels and reading.message == ""


@pytest.mark.parametrize("target", ["elsewhere/segmentation.seg.nrrd", "cases/a/segmentation.seg.nrrd", "nowhere"])
def test_a_link_in_the_folder_is_neither_read_nor_followed(start, listed, target):
    (listed / OWN).mkdir()
    os.symlink(listed.parent / target, listed / OWN / "a.seg.nrrd")
    record(listed, f"{OWN}/a.seg.nrrd")
    before = every_file(listed)
    reading = start(listed)
    go(reading, 0)
    assert tumor(reading).any() and "no file of this case" in reading.message
    voxels = edit(reading)
    go(reading, 1)
    assert every_file(listed) == before and not (listed.parent / "nowhere").exists()
    assert (listed / OWN / "a-2.seg.nrrd").is_file() and (listed / OWN / "a.seg.nrrd").is_symlink()
    go(reading, 0)
    assert tumor(reading).sum() == voxels


@pytest.mark.parametrize("target", ["elsewhere", "cases/a", "loop"])
def test_a_folder_that_is_a_link_is_not_written_into(start, listed, target):
    os.symlink(listed / OWN if target == "loop" else listed.parent / target, listed / OWN)
    record(listed, f"{OWN}/a.seg.nrrd")
    before = every_file(listed)
    reading = start(listed)
    go(reading, 0)
    assert tumor(reading).any()
    edit(reading)
    go(reading, 1)
    assert reading.question is not None and "is a link to another place" in reading.question.text
    assert reading.current.id == "a" and every_file(listed) == before
    (listed / OWN).unlink()
    reading.answer(leave=False)
    go(reading, 1)
    assert reading.current.id == "b" and (listed / OWN / "a.seg.nrrd").is_file()


def test_a_link_is_not_followed_when_the_scene_closes(start, listed, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the masks are saved instead
    os.symlink(listed.parent / "elsewhere", listed / OWN)
    before = every_file(listed)
    reading = start(listed)
    go(reading, 0)
    edit(reading)
    reading.before_scene_closes()
    assert every_file(listed) == before and "is a link to another place" in reading.message


def test_a_list_that_refers_to_its_corrected_masks_keeps_them(start, listed):
    """As when the user has put the corrected masks into the list."""
    (listed / "list.csv.reactkd.masks").mkdir()
    own = shutil.copy(listed / "a" / "segmentation.seg.nrrd", listed / "list.csv.reactkd.masks" / "a.seg.nrrd")
    (listed / "list.csv").write_text(
        "case,ct,segmentation\na,a/CT.nii.gz,list.csv.reactkd.masks/a.seg.nrrd\nb,b/CT.nii.gz,b/segmentation.seg.nrrd\n"
    )
    before = own.read_bytes()
    reading = start(listed / "list.csv")
    go(reading, 0)
    voxels = edit(reading)
    go(reading, 1)
    assert own.read_bytes() == before
    assert reading.review.of("a").masks["file"] == "list.csv.reactkd.masks/a-2.seg.nrrd"
    go(reading, 0)
    assert tumor(reading).sum() == voxels


def test_a_second_window_uses_no_file_name_of_another_case(start, listed):
    shutil.copytree(listed / "b", listed / "a-2")
    first, second = start(listed), start(listed)
    places = {case.id: n for n, case in enumerate(first.cases.cases)}
    for reading in (first, second):
        go(reading, places["a"])
    edit(first)
    edit(second)
    for reading in (first, second):
        go(reading, places["b"])
    assert sorted(path.name for path in (listed / OWN).iterdir()) == ["a-3.seg.nrrd", "a.seg.nrrd"]
    go(first, places["a-2"])
    assert not first.loader.edited and first.masks.of(first.current) is None


def test_masks_of_a_case_are_not_used_for_a_case_added_later(start, listed):
    first, second = start(listed), start(listed)
    for reading in (first, second):
        go(reading, 0)
        edit(reading)
    for reading in (first, second):
        go(reading, 1)
    assert (listed / OWN / "a-2.seg.nrrd").is_file()
    shutil.copytree(listed / "b", listed / "a-2")
    later = start(listed)
    case = later.cases.cases[later.cases.find("a-2")]
    assert later.masks.of(case) is None
    assert later.files_of(case).segmentation == listed / "a-2" / "segmentation.seg.nrrd"


def test_a_scene_that_is_saved_with_a_listed_case_corrects_no_masks(start, listed, scene, tmp_path):
    """Slicer copies the images of overlapping segments when it saves them, which is no edit of the user."""
    reading = start(listed)
    go(reading, 0)
    assert reading.loader.loaded.nodes.segmentation.GetSegmentation().GetNumberOfLayers() == 2
    save_scene(scene, tmp_path / "scene.mrb")
    assert not reading.edited
    go(reading, 1)
    assert not (listed / OWN).exists()
    edit(reading)
    save_scene(scene, tmp_path / "scene.mrb")
    assert reading.edited
    go(reading, 0)
    assert [path.name for path in (listed / OWN).iterdir()] == ["b.seg.nrrd"]
