"""Messages to the worker: what a client writes is read back unchanged; anything else is refused in one sentence."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import HandOverDamaged, UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.masks.surface import Surface
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.answers import Drawing, Surfaces, answer_from
from REACTKDLib.core.worker.arrays import STEP_VOXELS, laid_out, read_array, read_mask, write_mask
from REACTKDLib.core.worker.mending import Edit
from REACTKDLib.core.worker.wire import MAPPED_BYTES, WrongType, read_message, write_message

MATRIX = [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
IMAGE = jobs.ImageFile(
    Modality.CT, "a-1.npy", MATRIX, Unit.HU, ["x/1.dcm"], [Finding("a", "info", "B.", (1.0, 2.0, 3.0))]
)
MASK = jobs.MaskFile("liver", "a-2.npy", [2, 3, 4], MATRIX, "Segment_1")
FILES = Job("a", {Modality.CT: Path("ct.nii")}, Path("s.nrrd"), tumor=("T",))
JOBS = (
    jobs.WarmUp(),
    jobs.OpenFiles(FILES),
    jobs.GradeFiles("k", FILES, jobs.Model("folder", "cpu")),
    jobs.ReadFiles(FILES),
    jobs.SaveSegments(Path("out.seg.nrrd"), [jobs.SegmentFile("Liver", [0.1, 0.2, 0.3], "", "", [0, 0, 0], MATRIX)]),
    jobs.GradeArrays("k", [IMAGE], [MASK], "id"),
    jobs.Regrade("k", [MASK], "l"),
    jobs.WhatIf("k", [0, "Lesion 1"], [Modality.FDG]),
    jobs.DrawSurfaces("k"),
    jobs.Draw("k"),
    jobs.CheckArrays([IMAGE], [MASK]),
    jobs.MendMasks([MASK], [2, 3, 4], MATRIX, "islands", [1.0, 2.0, 3.0]),
    jobs.SplitMask([MASK], [2, 3, 4], MATRIX),
    jobs.ExportDicom("k", Path("series"), Path("out")),
)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: type(job).__name__)
def test_a_job_is_read_back_unchanged(job: jobs.Job) -> None:
    line = json.dumps({"ticket": 4, **jobs.to_message(job)}).encode()
    message = jobs.parsed_line(line)
    assert message.pop("ticket") == 4
    assert jobs.from_message(message) == job


def broken(job: jobs.Job, **changes: object) -> dict:
    return {**jobs.to_message(job), **changes}


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"job": "Nothing"},
        {"job": ["WarmUp"]},
        {"job": "Draw"},
        broken(JOBS[8], key=None),
        broken(JOBS[8], other=1),
        broken(JOBS[0], model={"bundle": 3}),
        broken(JOBS[2], files=[]),
        broken(JOBS[2], files={"case": "a", "images": {"mr": "x"}}),
        broken(JOBS[2], files={"case": "a", "mask_files": ["x"]}),
        broken(JOBS[2], files={"case": "a", "tumor": "T"}),
        broken(JOBS[5], images=[{"modality": "ct"}]),
        broken(JOBS[5], images=[{**asdict(IMAGE), "remarks": [{"code": 3, "severity": "info", "message": "B."}]}]),
        broken(JOBS[5], images=[{**asdict(IMAGE), "modality": "mr"}]),
        broken(JOBS[5], images=[{**asdict(IMAGE), "unit": "K"}]),
        broken(JOBS[5], images=[{**asdict(IMAGE), "file": "../other.npy"}]),
        broken(JOBS[5], images=[{**asdict(IMAGE), "file": "/etc/passwd"}]),
        broken(JOBS[5], images=[{**asdict(IMAGE), "ijk_to_ras": [[1, 0], [0, 1]]}]),
        broken(JOBS[5], images=[{**asdict(IMAGE), "ijk_to_ras": [[float("nan")] * 4] * 4}]),
        broken(JOBS[6], masks=[{**asdict(MASK), "shape": [2, -3, 4]}]),
        broken(JOBS[6], masks=[{**asdict(MASK), "shape": [2, 3]}]),
        broken(JOBS[6], masks=[{**asdict(MASK), "role": "spleen"}]),
        broken(JOBS[7], leave_out=["mr"]),
        broken(JOBS[7], mute=[[1]]),
        broken(JOBS[10], shape=[1e9, 2, 3]),
        broken(JOBS[10], place=["a", "b", "c"]),
    ],
)
def test_any_other_message_is_refused_in_one_sentence(message: object) -> None:
    with pytest.raises(UsageError, match="exchanged an invalid message"):
        jobs.from_message(message)


@pytest.mark.parametrize(
    "line", [b"", b"\xff", b"{", b"[]", b'{"job": "Draw"}', b'{"ticket": "4"}', b'{"stop": null}', b"[" * 100_000]
)
def test_a_line_without_a_ticket_is_refused(line: bytes) -> None:
    with pytest.raises(UsageError):
        jobs.parsed_line(line)


def test_a_damaged_or_removed_array_file_is_reported(tmp_path: Path) -> None:
    mask = np.ones((2, 3, 4), dtype=bool)
    digest = write_mask(tmp_path / "m.npy", mask)
    assert read_mask(tmp_path / "m.npy", (2, 3, 4), digest).all()
    whole = (tmp_path / "m.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-2])
    (tmp_path / "bit.npy").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(HandOverDamaged, match="grade again"):
        read_mask(tmp_path / "bit.npy", (2, 3, 4), digest)
    for path, shape in (("m.npy", (4, 6, 8)), ("m.npy", (1, 1, 4)), ("cut.npy", (2, 3, 4)), ("gone.npy", (2, 3, 4))):
        with pytest.raises(HandOverDamaged, match="grade again"):
            read_mask(tmp_path / path, shape)
    with pytest.raises(HandOverDamaged):
        read_array(tmp_path / "gone.npy")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_part_is_laid_out_in_small_steps(dtype: type) -> None:
    """The user interface waits during a step, so no step may allocate much more than its share of the voxels."""
    rng, box, shape = np.random.default_rng(1), (slice(3, 43), slice(10, 110), slice(5, 105)), (50, 120, 130)
    part = rng.integers(0, 200, (40, 100, 100)).astype(dtype)
    whole = np.zeros(shape, dtype=dtype)
    whole[box] = part
    steps, count = laid_out(part, box, shape, dtype), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made = end.value
            break
        count += 1
    assert made.dtype == dtype and np.array_equal(made, whole)
    assert count >= part.size / STEP_VOXELS


def test_a_part_without_voxels_is_laid_out_as_zeros() -> None:
    with pytest.raises(StopIteration) as end:
        next(
            laid_out(np.zeros((0, 4, 4), dtype=np.uint8), (slice(2, 2), slice(0, 4), slice(0, 4)), (5, 6, 7), np.uint16)
        )
    assert end.value.value.shape == (5, 6, 7) and not end.value.value.any()


BOX = (slice(1, 61), slice(0, 256), slice(4, 260))


def drawing_of(values: np.ndarray) -> Drawing:
    return Drawing("a", BOX, values, 1.5)


def surfaces() -> Surfaces:
    points, triangles = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((0, 3), dtype=np.int32)
    return Surfaces("a", {2: Surface(points, triangles, points + 1)})


def test_a_reply_is_read_back_unchanged(tmp_path: Path) -> None:
    drawing = drawing_of(np.zeros((0, 4, 4), dtype=np.float32))
    message = json.loads(json.dumps(write_message(drawing, tmp_path, "1.npy")))
    read = answer_from(message, jobs.Draw("a"), tmp_path)
    assert (read.key, read.box, read.scale) == (drawing.key, BOX, 1.5)
    assert read.voxel_map.shape == (0, 4, 4) and list(tmp_path.iterdir()) == []
    message = json.loads(json.dumps(write_message(surfaces(), tmp_path, "2.npy")))
    read = answer_from(message, jobs.DrawSurfaces("a"), tmp_path)
    assert list(read.surfaces) == [2] and list(tmp_path.iterdir()) == []
    for part in ("points", "triangles", "normals"):
        ours, theirs = getattr(read.surfaces[2], part), getattr(surfaces().surfaces[2], part)
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)


def test_edits_are_read_back_unchanged(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random((3, 5, 7)) > 0.5
    edits = (Edit("Segment_1", False, mask, (1, 2, 3)), Edit(None, True, ~mask, (0, 0, 0), "Lesion 4"))
    read = read_message(tuple[Edit, ...], write_message(edits, tmp_path, "1.npy"), tmp_path)
    for ours, theirs in zip(read, edits, strict=True):
        assert np.array_equal(ours.mask, theirs.mask) and ours.mask.dtype == bool
        assert (ours.segment, ours.add, ours.corner, ours.name) == (
            theirs.segment, theirs.add, theirs.corner, theirs.name
        )  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"scale": "1"}, {"box": [[1]]}, {"surfaces": {"x": {}}}, {"other": 1}, {"key": None}]
)
def test_a_damaged_reply_is_refused(tmp_path: Path, change: dict) -> None:
    of_surfaces = "surfaces" in change
    answer = surfaces() if of_surfaces else drawing_of(np.zeros((2, 2, 2), dtype=np.float32))
    message = write_message(answer, tmp_path, "1.npy")
    job = jobs.DrawSurfaces("a") if of_surfaces else jobs.Draw("a")
    with pytest.raises(WrongType):
        answer_from({**message, "content": {**message["content"], **change}}, job, tmp_path)


def test_an_array_beyond_the_end_of_its_file_is_refused(tmp_path: Path) -> None:
    message = write_message(drawing_of(np.zeros((2, 2, 2), dtype=np.float32)), tmp_path, "1.npy")
    message["content"]["voxel_map"]["shape"] = [200, 200, 200]
    with pytest.raises(WrongType):
        answer_from(message, jobs.Draw("a"), tmp_path)


def test_a_large_voxel_map_is_not_read_by_the_call_that_takes_it(tmp_path: Path) -> None:
    """The user interface waits for that call, which once took up to 0.9 seconds for 80 MB."""
    values = np.random.default_rng(2).random((60, 256, 256), dtype=np.float32)
    message = write_message(drawing_of(values), tmp_path, "1.npy")
    tracemalloc.start()
    drawing = answer_from(message, jobs.Draw("a"), tmp_path)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < MAPPED_BYTES < values.nbytes / 10 and list(tmp_path.iterdir()) == []
    assert np.array_equal(drawing.voxel_map, values), "the map must be readable after its file was removed"
