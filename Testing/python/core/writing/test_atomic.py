"""Files are written completely or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.writing.atomic import write_text, written_beside


def test_the_suffix_is_kept_and_parents_are_made(tmp_path):
    target = tmp_path / "a" / "b" / "map.nii.gz"
    with written_beside(target) as beside:
        assert beside.parent == target.parent and beside.name.endswith("map.nii.gz")
        beside.write_bytes(b"1")
        assert not target.exists()
    assert target.read_bytes() == b"1" and [p.name for p in target.parent.iterdir()] == ["map.nii.gz"]


def test_a_failure_keeps_the_old_file(tmp_path):
    target = tmp_path / "report.json"
    write_text(target, "old")
    with pytest.raises(RuntimeError), written_beside(target) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    target = tmp_path / "model"
    for text in ("one", "two"):
        with written_beside(target) as beside:
            beside.mkdir()
            (beside / text).write_text(text)
    assert [p.name for p in target.iterdir()] == ["two"] and len(list(tmp_path.iterdir())) == 1


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "kept").write_text("x")
    with pytest.raises(RuntimeError), written_beside(target) as beside:
        beside.mkdir()
        (beside / "half").write_text("y")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["kept"] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("below", ["x.txt", "deeper/x.txt"])
def test_an_output_that_cannot_be_created_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputNotWritable) as caught:
        write_text(tmp_path / "file" / below, "text")
    assert str(Path("file") / below) in str(caught.value) and str(caught.value).count("\n") == 0


def test_a_name_with_non_ascii_characters_is_written(tmp_path):
    write_text(tmp_path / "Größe 肝.csv", "é\n")
    assert (tmp_path / "Größe 肝.csv").read_bytes() == "é\n".encode()
