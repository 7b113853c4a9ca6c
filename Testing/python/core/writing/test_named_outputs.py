"""The sentence about a file that could not be written names the file as the user knows it, in its own letters."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.text import sentence
from REACTKDLib.core.writing.atomic import write_files, written_beside

NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize("name", ["report.json", "seven/regions.nii.gz"])
def test_a_file_in_a_stage_is_named_as_it_would_be_in_the_output(existed: bool, name: str, tmp_path: Path) -> None:
    """A hidden folder such as `.reactkd-04115b94-27721+/new/result` no longer exists when its name is read."""
    output = tmp_path / "result"
    if existed:
        output.mkdir()
    with pytest.raises(OutputNotWritable) as fault, all_or_nothing(output) as folder, written_beside(folder / name):
        raise NO_ROOM
    assert str(fault.value).startswith(f"The output {output / name} cannot be written (no space left on device); make")
    assert list(tmp_path.rglob("*")) == ([output] if existed else [])


def test_a_folder_in_a_stage_is_named_as_it_would_be_in_the_output(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable) as fault, all_or_nothing(tmp_path / "result") as folder:
        (folder / "dicom").write_text("a file")
        write_files(folder / "dicom", {"a": b""})
    assert str(fault.value).startswith(f"The output {tmp_path / 'result' / 'dicom'} cannot be written")


def test_nested_stages_are_left_out_of_the_name(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputNotWritable) as fault,
        all_or_nothing(tmp_path / "cohort") as outer,
        all_or_nothing(outer / "case") as inner,
        written_beside(inner / "a.json"),
    ):
        raise NO_ROOM
    assert str(fault.value).startswith(f"The output {tmp_path / 'cohort' / 'case' / 'a.json'} cannot be written")


def test_a_relative_path_keeps_its_letters_as_a_command_prints_it(tmp_path: Path, monkeypatch) -> None:
    """`low-dose` said that Low.nii.gz cannot be written, which is another file on most systems."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputNotWritable) as fault, written_beside("low.nii.gz"):
        raise NO_ROOM
    assert sentence(str(fault.value)).startswith("The output low.nii.gz cannot be written (")
