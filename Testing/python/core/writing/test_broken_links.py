"""An output path with a symbolic link that leads nowhere, to a missing disk or to itself, is refused and says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.writing.atomic import write_files, write_text
from REACTKDLib.core.writing.run_lock import running_alone

if os.name == "nt":
    pytest.skip("symbolic links need a privilege there", allow_module_level=True)

WORDS = "a symbolic link in its path leads nowhere"


def stage(path: Path) -> None:
    with all_or_nothing(path):
        pass


def lock(path: Path) -> None:
    with running_alone(path / "run.json", "a training"):
        pass


WRITERS = {
    "a folder of results": stage,
    "a run": lock,
    "a file": lambda path: write_text(path / "a.txt", "a"),
    "files": lambda path: write_files(path, {"a.txt": b"a"}),
}


@pytest.fixture(params=["loop", "missing"])
def link(request, tmp_path: Path) -> Path:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "other" if request.param == "loop" else tmp_path / "not-mounted")
    if request.param == "loop":
        (tmp_path / "other").symlink_to(link)
    return link


@pytest.mark.parametrize("below", ["", "x", "x/y"])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_link_that_leads_nowhere_is_named(link: Path, write: Callable[[Path], None], below: str) -> None:
    """The systems say "file exists" or "too many levels", and nothing of a link."""
    before = sorted(link.parent.iterdir())
    with pytest.raises(OutputNotWritable, match=WORDS):
        write(link / below)
    assert sorted(link.parent.iterdir()) == before and link.is_symlink()  # it was not replaced


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_link_to_a_folder_is_followed(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write(tmp_path / "link" / "x")
    assert (tmp_path / "link").is_symlink()
