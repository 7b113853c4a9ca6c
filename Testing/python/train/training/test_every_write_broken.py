"""Every write is broken once: a disk that is really full, no permission, killed at each step.

Previous content stays readable, no partial output is left or accepted as complete, and the next write succeeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.segmentations import read_segmentation
from REACTKDLib.core.files.volumes import read_volume, write_volume
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.reports.html import write_page
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.review.review import NOT_SAVED, Review
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.writing import replacing
from REACTKDLib.core.writing.tensor_files import write_tensors
from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.low_dose.sidecar import kept, write_sidecar
from REACTKDTrainLib.study.runs import Run, RunFiles
from REACTKDTrainLib.training.checkpoint import load_checkpoint, save_checkpoint
from REACTKDTrainLib.training.predictions import Prediction, read_rows, write_metrics, write_predictions, write_rows
from support.killed import fill, killed_at, small_disk
from support.read_only import read_only
from support.scene_cases import make_case, make_result
from support.small_models import metadata_for, random_student

SHAPE = (10, 32, 32)
PAGE = 4096


@dataclass(frozen=True)
class Write:
    """write(folder, seed) writes into a folder; read(folder) returns what a reader finds, or raises."""

    write: Callable[[Path, int], Any]
    read: Callable[[Path], Any]


def volume(seed: int) -> Volume:
    values = np.random.default_rng(seed).integers(-900, 900, SHAPE).astype(np.int16)
    return Volume(values, np.diag([-0.8, -0.8, 2.5, 1.0]), Unit.HU, "CT")


def image(suffix: str) -> Write:
    return Write(
        lambda folder, seed: write_volume(volume(seed), folder / f"v{suffix}"),
        lambda folder: read_volume(folder / f"v{suffix}").array.tolist(),
    )


@cache
def report(seed: int) -> GradeReport:
    return make_result(make_case(), effects=(0.01 * seed, 0.3, -0.1)).report


def masks(seed: int) -> list[tuple[str, str, np.ndarray]]:
    drawn = np.random.default_rng(seed).random((2, *SHAPE)) > 0.5
    return [("Liver", "liver", drawn[0]), ("Tumor", "tumor", drawn[1])]


def dosed(folder: Path, seed: int) -> None:
    path = folder / "case.nii.gz"
    write_sidecar(write_volume(volume(seed), path), {"seed": seed}, {"asked": seed})


def dosed_found(folder: Path) -> Any:
    """What the cohort would use: only a volume that matches its sidecar; any other is recomputed."""
    path = folder / "case.nii.gz"
    known = next((record for seed in (1, 2, 3) if (record := kept(path, {"asked": seed}))), None)
    assert known is None or read_volume(path).array.tolist() == volume(known["seed"]).array.tolist()
    return known and known["seed"]


@cache
def a_student(seed: int) -> Student:
    return random_student(seed)


def bundle(folder: Path, seed: int) -> None:
    student = a_student(seed)
    Bundle.save(folder / "bundle", student, metadata_for(student, version=f"{seed}.0"))


def bundle_found(folder: Path) -> Any:
    found = Bundle.load(folder / "bundle")
    saved = a_student(int(found.info["version"][0])).parameters()
    assert all(torch.equal(a, b) for a, b in zip(found.student.parameters(), saved))
    return found.info["version"]


def checkpoint(folder: Path, seed: int) -> None:
    save_checkpoint(folder / "last.pt", {"module": {"w": torch.full((5000,), float(seed))}}, {"step": seed}, "b")


def checkpoint_found(folder: Path) -> Any:
    tensors, state = load_checkpoint(folder / "last.pt", "b")
    assert (tensors["module"]["w"] == state["step"]).all()
    return state["step"]


def study_run(seed: int) -> Run:
    return Run("methods", "kd", 0, 0, {"x": 1}, lambda: {})


def rows(seed: int) -> list[Prediction]:
    return [Prediction(f"c{n}", f"p{n}", 0, n % 3, "student", "ct", True, (seed / 10, 0.5, 0.1)) for n in range(60)]


def page_found(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>")
    return text


WRITES = {
    "nii": image(".nii"),
    "nii.gz": image(".nii.gz"),
    "nrrd": image(".nrrd"),
    "mha": image(".mha"),
    "seg.nrrd": Write(
        lambda folder, seed: write_segmentation(masks(seed), np.eye(4), folder / "m.seg.nrrd"),
        lambda folder: read_segmentation(folder / "m.seg.nrrd").layers.tolist(),
    ),
    "report.json": Write(
        lambda folder, seed: report(seed).write_json(folder / "report.json"),
        lambda folder: GradeReport.read_json(folder / "report.json").to_dict(),
    ),
    "report.html": Write(
        lambda folder, seed: write_page(folder / "report.html", report(seed)),
        lambda folder: page_found(folder / "report.html"),
    ),
    "bundle": Write(bundle, bundle_found),
    "checkpoint": Write(checkpoint, checkpoint_found),
    "tensors": Write(
        lambda folder, seed: write_tensors(folder / "t.pt", torch.full((4000,), float(seed))),
        lambda folder: torch.load(folder / "t.pt", weights_only=True).unique().tolist(),
    ),
    "low dose": Write(dosed, dosed_found),
    "stored arrays": Write(
        lambda folder, seed: ContentStore(folder).put(content_key("x"), {"p": np.full(4000, seed)}),
        lambda folder: np.unique(ContentStore(folder).get(content_key("x"))["p"]).tolist(),
    ),
    "study run": Write(
        lambda folder, seed: RunFiles(folder).put(study_run(seed), {"p": np.full(3000, seed)}),
        lambda folder: np.unique(RunFiles(folder).get(study_run(0))["p"]).tolist(),
    ),
    "predictions": Write(
        lambda folder, seed: write_rows(folder / "test.json", rows(seed)),
        lambda folder: read_rows(folder / "test.json"),
    ),
    "predictions.csv": Write(
        lambda folder, seed: write_predictions(folder / "p.csv", rows(seed)),
        lambda folder: (folder / "p.csv").read_text().splitlines()[60],
    ),
    "metrics.json": Write(
        lambda folder, seed: write_metrics(folder / "metrics.json", {"n": [seed] * 3000}),
        lambda folder: json.loads((folder / "metrics.json").read_text())["n"],
    ),
}


@pytest.fixture(params=WRITES)
def one(request) -> Write:
    return WRITES[request.param]


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("small") / "disk", "2m") as folder:
        yield folder


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_a_full_disk_leaves_the_old_result(disk: Path, one: Write):
    for entry in disk.iterdir():
        replacing.remove(entry)
    refused, folder = 0, disk / "results"
    folder.mkdir()
    one.write(folder, 1)
    old = one.read(folder)
    for pages in (0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 40, 80, 200):
        fill(disk, pages * PAGE)
        try:
            one.write(folder, 2)
        except OutputNotWritable as error:
            refused += 1
            assert "\n" not in str(error) and hidden(disk) == []
            assert one.read(folder) in (old, None)  # None: it is recognized as incomplete and recomputed
            (disk / "filler").unlink()
            one.write(folder, 1)
        else:
            break
    assert refused >= 1
    (disk / "filler").unlink()
    one.write(folder, 2)
    assert one.read(folder) != old and hidden(disk) == []


def test_a_folder_without_permission_leaves_the_old_result(tmp_path: Path, one: Write):
    folder = tmp_path / "results"
    folder.mkdir()
    one.write(folder, 1)
    old = one.read(folder)
    with read_only(folder), pytest.raises((OutputNotWritable, PermissionError)):
        one.write(folder, 2)
    assert one.read(folder) in (old, None) and hidden(folder) == []
    one.write(folder, 2)
    assert one.read(folder) != old


def test_a_kill_at_any_step_leaves_one_complete_result(tmp_path: Path, one: Write, monkeypatch):
    step = 4 if one is WRITES["bundle"] else 1  # each takes half a second; `test_replacing` tries every step
    for at in range(1, 60, step):
        folder = tmp_path / str(at)
        folder.mkdir()
        one.write(folder, 1)
        old = one.read(folder)
        if not killed_at(at, partial(one.write, folder, 2)):
            break
        found = one.read(folder)
        monkeypatch.setattr(replacing, "_next_look", {})  # the next run is a new process, which has not looked yet
        one.write(folder, 2)
        assert found in (old, None, one.read(folder)) and one.read(folder) != old
        assert hidden(folder) == []
    assert at > 1


def test_a_killed_bundle_is_complete_where_folders_cannot_be_exchanged(tmp_path: Path, monkeypatch):
    """Between the two renames the folder is absent: loading restores the old or the new one."""
    monkeypatch.setattr(replacing, "exchange", lambda one, other: False)
    for at in range(5, 30):
        folder = tmp_path / str(at)
        bundle(folder, 1)
        assert killed_at(at, partial(bundle, folder, 2)), "after one of the kills the folder must be absent"
        was_absent = not (folder / "bundle").exists()
        assert bundle_found(folder) in ("1.0", "2.0")
        replacing.recover(folder)
        assert [path.name for path in folder.iterdir()] == ["bundle"]
        if was_absent:
            return


def test_a_review_that_cannot_be_saved_keeps_its_marks_in_memory(disk: Path):
    for entry in disk.iterdir():
        replacing.remove(entry)
    path = disk / "list.csv.reactkd.json"
    Review(path).update("a", reader={"grade": "well"})
    fill(disk, 0)
    review = Review(path)
    saved = [review.update(f"case {n}", reader={"grade": "poor", "note": "x" * 4000}) for n in range(3)]
    assert not saved[-1] and review.problem == NOT_SAVED and review.of("case 2").reader_grade == "poor"
    assert Review(path).of("a").reader_grade == "well" and Review(path).problem == ""
    (disk / "filler").unlink()
    assert review.flush() and Review(path).of("case 2").reader_grade == "poor"
