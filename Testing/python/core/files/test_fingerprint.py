"""When two files count as the same: by all bytes, or by blocks of a large file unless the whole is requested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.files.fingerprint import files_behind, fingerprint_of
from support.dicom_files import write_series

LARGE = 40 << 20


def file_of(path: Path, size: int, changed: dict[int, bytes] | None = None) -> Path:
    """A file of zeros with some bytes changed; large files are sparse."""
    with open(path, "wb") as stream:
        stream.truncate(size)
        for place, value in (changed or {}).items():
            stream.seek(place)
            stream.write(value)
    return path


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_every_byte_of_a_usual_file_counts(tmp_path: Path, size: int) -> None:
    same, again = file_of(tmp_path / "a", size), file_of(tmp_path / "b", size)
    assert fingerprint_of([same]) == fingerprint_of([again])  # file names do not matter
    for place in (0, size // 2, size - 1):
        assert fingerprint_of([file_of(tmp_path / "c", size, {place: b"x"})]) != fingerprint_of([same])


def test_a_large_file_is_identified_by_blocks_and_size_or_on_request_by_all_bytes(tmp_path: Path) -> None:
    one = file_of(tmp_path / "a", LARGE)
    between = file_of(tmp_path / "b", LARGE, {(1 << 20) + 300_000: b"x"})  # after the first of 24 blocks
    assert fingerprint_of([one]) == fingerprint_of([between])
    assert fingerprint_of([one], whole=True) != fingerprint_of([between], whole=True)
    for changed in (
        file_of(tmp_path / "c", LARGE, {0: b"x"}),
        file_of(tmp_path / "d", LARGE, {LARGE - 1: b"x"}),
        file_of(tmp_path / "e", LARGE + 1),
    ):
        assert fingerprint_of([one]) != fingerprint_of([changed])


def test_labels_and_the_order_of_files_change_the_fingerprint(tmp_path: Path) -> None:
    a, b = file_of(tmp_path / "a", 4, {0: b"a"}), file_of(tmp_path / "b", 4, {0: b"b"})
    found = {fingerprint_of([a, b]), fingerprint_of([b, a]), fingerprint_of([a, b], "hcc"), fingerprint_of([a])}
    assert len(found) == 4
    with pytest.raises(OSError):
        fingerprint_of([tmp_path / "none"])


def test_the_fingerprint_of_a_series_includes_all_files_that_may_belong_to_it(tmp_path: Path) -> None:
    """A series is also searched for below the folder of its file: a changed slice there makes it another series."""
    paths = write_series(tmp_path / "ct", np.zeros((3, 8, 8), np.int16))
    deeper = paths[0].parent / "rest" / paths[2].name
    deeper.parent.mkdir()
    paths[2].rename(deeper)
    known = files_behind(paths[0], series=True)
    assert set(known) == {*paths[:2], deeper} and files_behind(paths[0]) == [paths[0]]
    before = fingerprint_of(known)
    deeper.write_bytes(deeper.read_bytes()[:-1] + b"\x01")
    assert fingerprint_of(files_behind(paths[0], series=True)) != before
