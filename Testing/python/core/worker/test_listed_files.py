"""Jobs that the reading room gives a worker: cases read for display and masks saved, without blocking on either."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.cases.case_list import open_case_list
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.files.segmentations import read_segmentation
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker.arrays import write_mask
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.core.worker.events import JobCanceled, JobDone, JobFailed
from REACTKDLib.core.worker.jobs import ReadFiles, SaveSegments, SegmentFile, from_message, to_message
from support.case_files import SEGMENTATION, write_case
from support.small_cases import small_case


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cases")
    write_case(small_case(), root / "a")
    write_case(small_case(), root / "b")
    (root / "b" / SEGMENTATION).unlink()
    write_case(small_case(), root / "c")
    (root / "c" / "FDG.nii.gz").write_text("no image")
    return root


def ask(dispatcher: JobDispatcher, job, **options):
    ended = []
    dispatcher.submit(job, ended.append, **options)
    until = time.monotonic() + 60
    while not ended:
        assert time.monotonic() < until
        dispatcher.poll()
        time.sleep(0.01)
    return ended[0]


def files_of(folder: Path, name: str) -> Job:
    cases = open_case_list(folder)
    return cases.cases[cases.find(name)].job


@pytest.mark.parametrize(
    "job",
    [
        Job("a", {Modality.CT: Path("x/ct.nii"), Modality.ACETATE: Path("y")}, Path("seg"), ("L",), ()),
        Job("b", {Modality.FDG: Path("x")}, mask_files=(Path("l"), Path("t"))),
    ],
)
def test_a_job_survives_its_message(job):
    assert from_message(json.loads(json.dumps(to_message(ReadFiles(job))))) == ReadFiles(job)


def test_a_case_is_read_for_display(dispatcher, folder):
    event = ask(dispatcher, ReadFiles(files_of(folder, "a")))
    assert isinstance(event, JobDone)
    read, case = event.result, small_case()
    assert tuple(read.images) == tuple(Modality) and read.problem == ""
    for modality, image in read.images.items():
        assert np.array_equal(image.array, case.volumes[modality].array.astype(image.array.dtype))
        assert np.allclose(image.ijk_to_ras, case.volumes[modality].ijk_to_ras, atol=1e-3)
        assert image.window[0] < image.window[1]
    assert read.images[Modality.CT].unit is Unit.HU and read.images[Modality.FDG].unit is Unit.SUVBW
    assert [read.segments[i].name for i in (*read.livers, *read.tumors)] == ["Liver", "Tumor"]
    total = sum(int((layer.array != 0).sum()) for layer in read.layers)
    assert total == case.liver.sum() + case.tumor.sum(), "liver and tumor overlap, so they lie in two layers"
    assert not list(dispatcher.client.scratch.path.rglob("worker-*/*.npy")), (
        "the arrays must be read without a file name"
    )


def test_a_case_without_masks_is_shown_and_one_without_image_is_refused(dispatcher, folder):
    read = ask(dispatcher, ReadFiles(files_of(folder, "b"))).result
    assert read.layers == () and "draw the masks" in read.problem and len(read.images) == 3
    event = ask(dispatcher, ReadFiles(files_of(folder, "c")))
    assert isinstance(event, JobFailed) and event.code == "not-an-image" and "FDG" in event.message


def test_a_prefetched_case_can_be_canceled(dispatcher, folder):
    ended = []
    ticket = dispatcher.submit(ReadFiles(files_of(folder, "a")), ended.append, background=True)
    dispatcher.cancel(ticket)
    while dispatcher.waiting:
        dispatcher.poll()
        time.sleep(0.01)
    assert isinstance(ended[0], (JobCanceled, JobDone))


def segment_file(dispatcher: JobDispatcher, name: str, mask: np.ndarray, matrix: np.ndarray, **more) -> SegmentFile:
    file = dispatcher.client.scratch.new_name()
    write_mask(dispatcher.client.scratch.path / file, mask)
    told = {"color": [0.1, 0.2, 0.3], "terminology": "", **more}
    return SegmentFile(name=name, file=file, shape=list(mask.shape), ijk_to_ras=matrix.tolist(), **told)


def test_segments_are_saved_as_drawn(dispatcher, tmp_path):
    """Masks with their own boxes on one grid: one overlapping, one empty, one outside the box of the first."""
    matrix = small_case().reference.ijk_to_ras

    def at(kji):
        moved = matrix.copy()
        moved[:3, 3] = (matrix @ [*kji[::-1], 1.0])[:3]
        return moved

    one, two = np.ones((4, 5, 6), dtype=bool), np.ones((3, 3, 3), dtype=bool)
    segments = [
        segment_file(dispatcher, "Liver", one, at((10, 10, 10)), terminology="a~b"),
        segment_file(dispatcher, "Lesion", two, at((12, 12, 12))),
        segment_file(dispatcher, "Lesion", two, at((2, 3, 4))),
        SegmentFile("Empty", [0, 0, 0], "", "", [0, 0, 0], np.eye(4).tolist()),
    ]
    path = tmp_path / "new" / "masks.seg.nrrd"
    assert isinstance(ask(dispatcher, SaveSegments(path, segments)), JobDone)
    saved = read_segmentation(path)
    assert [segment.name for segment in saved.segments] == ["Liver", "Lesion", "Lesion", "Empty"]
    assert saved.segments[0].terminology == "a~b" and saved.segments[0].color == (0.1, 0.2, 0.3)
    for index, (size, kji) in enumerate([(120, (10, 10, 10)), (27, (12, 12, 12)), (27, (2, 3, 4))]):
        places = np.argwhere(saved.mask([index]))
        assert len(places) == size
        first = (saved.ijk_to_ras @ [*places[0][::-1], 1.0])[:3]
        assert np.allclose(first, (matrix @ [*kji[::-1], 1.0])[:3], atol=1e-4)
    assert not saved.mask([3]).any()
    ids = [line for line in path.read_bytes()[:4000].split(b"\n") if b"_ID:=" in line]
    assert len({line.partition(b":=")[2] for line in ids}) == 4


def test_a_save_that_fails_is_reported(dispatcher, tmp_path):
    mask = np.ones((2, 2, 2), dtype=bool)
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "masks.seg.nrrd"
    event = ask(dispatcher, SaveSegments(target, [segment_file(dispatcher, "Liver", mask, np.eye(4))]))
    assert isinstance(event, JobFailed) and event.code == "output-not-writable"
    event = ask(dispatcher, SaveSegments(tmp_path / "x.seg.nrrd", []))
    assert isinstance(event, JobFailed) and event.code == "empty-segmentation"
    assert not (tmp_path / "x.seg.nrrd").exists()
