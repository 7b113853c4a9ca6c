"""A real full disk (a small file system in memory): old files stay intact, and truncated ones are never accepted."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.segmentations import read_segmentation
from REACTKDLib.core.files.volumes import read_volume, write_volume
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.writing.atomic import checked_stream, write_text, written_beside
from support.killed import fill, small_disk
from support.read_only import read_only

SHAPE = (12, 40, 40)  # 38 KB
PAGE = 4096


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("small") / "disk") as folder:
        yield folder


def volume(seed: int) -> Volume:
    values = np.random.default_rng(seed).integers(-900, 900, SHAPE).astype(np.int16)
    return Volume(values, np.diag([-0.8, -0.8, 2.5, 1.0]), Unit.HU, "CT")


def write_image(path: Path, seed: int) -> None:
    write_volume(volume(seed), path)


def read_image(path: Path) -> bytes:
    return read_volume(path).array.astype("<i2").tobytes()


def write_masks(path: Path, seed: int) -> None:
    masks = np.random.default_rng(seed).random((2, *SHAPE)) > 0.5
    write_segmentation([("Liver", "liver", masks[0]), ("Tumor", "tumor", masks[1])], np.eye(4), path)


def read_masks(path: Path) -> bytes:
    found = read_segmentation(path)
    return found.layers.tobytes()


def write_archive(path: Path, seed: int) -> None:
    with written_beside(path) as beside:
        np.savez(beside, values=volume(seed).array)


def read_archive(path: Path) -> bytes:
    with np.load(path) as file:
        return file["values"].tobytes()


def write_words(path: Path, seed: int) -> None:
    write_text(path, f"{seed}" * 40_000)


WRITERS: dict[str, tuple[Callable[[Path, int], None], Callable[[Path], bytes]]] = {
    "v.nii": (write_image, read_image),
    "v.nii.gz": (write_image, read_image),
    "v.nrrd": (write_image, read_image),
    "v.mha": (write_image, read_image),
    "m.seg.nrrd": (write_masks, read_masks),
    "a.npz": (write_archive, read_archive),
    "t.json": (write_words, Path.read_bytes),
}


def clear(disk: Path) -> None:
    for path in disk.iterdir():
        path.unlink()


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("before", [True, False], ids=["an earlier file", "none"])
def test_a_full_disk_at_any_size_keeps_the_old_file(disk, name, before):
    """Space for 0, 1, 2 ... pages: refused with the earlier file intact, and complete as soon as there is space."""
    write, read = WRITERS[name]
    refused, path = 0, disk / name
    for pages in range(0, 40):
        clear(disk)
        if before:
            write(path, 1)
            old = read(path)
        fill(disk, pages * PAGE)
        try:
            write(path, 2)
        except OutputNotWritable as error:
            refused += 1
            assert "make room" in str(error) and "\n" not in str(error)
            assert sorted(p.name for p in disk.iterdir()) == sorted(["filler", *([name] if before else [])])
            assert not before or read(path) == old
        else:
            new = read(path)
            (disk / "filler").unlink()
            path.unlink()
            write(path, 2)
            assert read(path) == new and len(new) > 1000
            break
    assert 2 <= refused < 39


def test_results_are_all_or_none(disk):
    def grade(seed: int) -> None:
        with all_or_nothing(disk / "case") as folder:
            write_image(folder / "regions.nii.gz", seed)
            write_text(folder / "report.json", f"{seed}" * 10_000)

    def found() -> tuple[bytes, str]:
        report = (disk / "case" / "report.json").read_text()
        return read_image(disk / "case" / "regions.nii.gz"), report[:1]

    refused = 0
    clear(disk)
    for pages in range(0, 60, 2):
        (disk / "filler").unlink(missing_ok=True)
        grade(1)
        old = found()
        fill(disk, pages * PAGE)
        try:
            grade(2)
        except OutputNotWritable:
            refused += 1
            assert found() == old and sorted(p.name for p in disk.rglob("*") if p.is_file()) == [
                "filler", "regions.nii.gz", "report.json"
            ]  # fmt: skip
        else:
            assert found()[1] == "2" and found()[0] == volume(2).array.tobytes()
            break
    assert 2 <= refused < 25


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_size_limit_keeps_the_old_file(tmp_path, name):
    """A user's file size limit also truncates writes. Runs in its own process."""
    write, read = WRITERS[name]
    path = tmp_path / name
    write(path, 1)
    old = read(path)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, PAGE))
        try:
            write(path, 2)
        except OutputNotWritable:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert read(path) == old and [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_without_permission_keeps_the_old_file(tmp_path, name):
    write, read = WRITERS[name]
    folder = tmp_path / "theirs"
    write(folder / name, 1)
    old = read(folder / name)
    with read_only(folder), pytest.raises(OutputNotWritable):
        write(folder / name, 2)
    assert read(folder / name) == old and [p.name for p in folder.iterdir()] == [name]
    write(folder / name, 2)
    assert read(folder / name) != old


def test_content_that_the_disk_did_not_store_is_detected(tmp_path):
    """Another program changes a byte while the file is written."""
    with pytest.raises(OSError, match="did not keep"), checked_stream(tmp_path / "x") as stream:
        stream.write(b"abcd" * 100)
        stream.flush()
        with open(tmp_path / "x", "rb+") as other:
            other.write(b"B")


def test_an_archive_that_the_disk_did_not_store_is_detected(tmp_path):
    path = tmp_path / "a.npz"
    write_archive(path, 1)
    old = path.read_bytes()
    with pytest.raises(OutputNotWritable), written_beside(path) as beside:
        np.savez(beside, values=volume(2).array)
        content = bytearray(beside.read_bytes())
        content[len(content) // 2] ^= 1
        beside.write_bytes(content)
    assert path.read_bytes() == old
