"""Every code reference in docstrings, comments and pages exists, such as `files.volumes.RawImage`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
LIBRARIES = (REPOSITORY / "REACTKD" / "REACTKDLib", REPOSITORY / "REACTKDTrain" / "REACTKDTrainLib")
READ = sorted(path for library in LIBRARIES for path in library.rglob("*.py"))
PAGES = sorted((REPOSITORY / "docs").rglob("*.md"))
_NAMED = re.compile(r"`((?:\w+\.)+\w+)(?:\(\))?`")
_DEFINED = re.compile(r"\b(?:def|class) (\w+)|\b(\w+)(?:[=,:]| = )")
# File extensions, which could be mistaken for attributes of a module.
_FILES = {"py", "json", "md", "csv", "dcm", "nrrd", "ui", "txt", "pt", "j2", "xml", "yml", "html", "css", "gz", "log"}


@cache
def known() -> frozenset[str]:
    """Module and package names, and every name that the libraries define.

    Found by regular expressions, as parsing takes many times as long.
    """
    found = {name for path in READ for name in (path.stem, *(folder.name for folder in path.parents))}
    for path in READ:
        found.update(name for names in _DEFINED.findall(path.read_text(encoding="utf-8")) for name in names)
    return frozenset(found)


@cache
def modules() -> frozenset[str]:
    """Names of modules and packages: the possible first parts of a code reference."""
    rooms = {path.parent.name for path in READ}
    return frozenset({"REACTKDLib", "REACTKDTrainLib", *rooms, *(path.stem for path in READ)})


def lost(text: str) -> Iterator[str]:
    """Yield every code reference in `text` that does not exist."""
    for place in _NAMED.findall(text):
        first, *rest = place.split(".")
        if first in modules() and rest[-1] not in _FILES and not set(rest) <= known():
            yield place


def test_references_in_the_code_exist() -> None:
    found = {path.name: list(lost(path.read_text(encoding="utf-8"))) for path in READ}
    assert {name: places for name, places in found.items() if places} == {}


def test_references_on_the_pages_exist() -> None:
    found = {path.name: list(lost(path.read_text(encoding="utf-8"))) for path in PAGES}
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("see `files.volumes.RawImage`", []),
        ("see `files.volumes.CookedImage`", ["files.volumes.CookedImage"]),
        ("see `core.nowhere.read_raw()`", ["core.nowhere.read_raw"]),
        ("as `joblib.Unheard` does, in `report.schema.json`", []),
    ],
)
def test_a_broken_reference_is_reported(text: str, wrong: list[str]) -> None:
    assert list(lost(text)) == wrong
