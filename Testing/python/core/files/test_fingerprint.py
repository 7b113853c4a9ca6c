"""When two files count as the same: all bytes of a usual file, blocks of a large one, unless the whole is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.core.files.fingerprint import fingerprint_of

LARGE = 40 << 20


def file_of(path: Path, size: int, changed: dict[int, bytes] | None = None) -> Path:
    """A file of zeros, with some bytes changed; large ones hold no block on the disk."""
    with open(path, "wb") as stream:
        stream.truncate(size)
        for place, value in (changed or {}).items():
            stream.seek(place)
            stream.write(value)
    return path


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_every_byte_of_a_usual_file_counts(tmp_path: Path, size: int) -> None:
    same, again = file_of(tmp_path / "a", size), file_of(tmp_path / "b", size)
    assert fingerprint_of([same]) == fingerprint_of([again])  # names play no part
    for place in (0, size // 2, size - 1):
        assert fingerprint_of([file_of(tmp_path / "c", size, {place: b"x"})]) != fingerprint_of([same])


def test_a_large_file_is_known_by_its_ends_and_size_and_wholly_where_that_is_asked(tmp_path: Path) -> None:
    one = file_of(tmp_path / "a", LARGE)
    between = file_of(tmp_path / "b", LARGE, {(1 << 20) + 300_000: b"x"})  # behind the first block of 24
    assert fingerprint_of([one]) == fingerprint_of([between])
    assert fingerprint_of([one], whole=True) != fingerprint_of([between], whole=True)
    for changed in (
        file_of(tmp_path / "c", LARGE, {0: b"x"}),
        file_of(tmp_path / "d", LARGE, {LARGE - 1: b"x"}),
        file_of(tmp_path / "e", LARGE + 1),
    ):
        assert fingerprint_of([one]) != fingerprint_of([changed])


def test_words_and_the_order_of_files_count(tmp_path: Path) -> None:
    a, b = file_of(tmp_path / "a", 4, {0: b"a"}), file_of(tmp_path / "b", 4, {0: b"b"})
    found = {fingerprint_of([a, b]), fingerprint_of([b, a]), fingerprint_of([a, b], "hcc"), fingerprint_of([a])}
    assert len(found) == 4
    with pytest.raises(OSError):
        fingerprint_of([tmp_path / "none"])
