"""The entry for Slicer's Extensions Index: it matches its schema and CMake, and everything it refers to exists.

The index runs the same checks on submission; docs/how-to/release.md goes through its checklist.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
ENTRY = REPOSITORY / "Resources" / "REACTKD.json"
REAL_DATA = Path(os.environ.get("REACTKD_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
# The index requires a category from its own list; these are the suitable ones.
CATEGORIES = {"Quantification", "Nuclear Medicine", "Informatics", "Segmentation", "Radiotherapy"}
#: size limit of the index for a complete clone with its history
LARGEST_REPOSITORY = 100 * 2**20
_ADDRESS = re.compile(r"https://raw\.githubusercontent\.com/([\w-]+)/SlicerREACTKD/([\w.-]+)/(\S+)")


def entry() -> dict[str, object]:
    return json.loads(ENTRY.read_text(encoding="utf-8"))


def cmake() -> dict[str, str]:
    """The extension's metadata, found by the pattern that the index uses."""
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    found = dict(re.findall(r'set\s*\((EXTENSION_[A-Z]+)\s*"([^"]+)"[ ]*\)', text))
    return {**found, "project": re.search(r"project\s*\(\s*([^\s)]+)", text)[1]}


def test_entry_and_project_agree() -> None:
    told, project = entry(), cmake()
    assert ENTRY.stem == project["project"] == "REACTKD", "the extension is named by the file of its entry"
    assert project["EXTENSION_DEPENDS"].split() == told["build_dependencies"]
    assert told["category"] in CATEGORIES
    repository = str(told["scm_url"]).removesuffix(".git")
    assert repository.rpartition("/")[2] == f"Slicer{ENTRY.stem}", "the index takes no other names"
    assert project["EXTENSION_HOMEPAGE"].startswith(repository)


def test_the_entry_is_written_as_the_index_writes_it() -> None:
    """Sorted keys, two spaces of indentation, one line per list item, and LF line endings."""
    told = entry()
    assert list(told) == sorted(told)
    assert ENTRY.read_bytes() == (json.dumps(told, indent=2) + "\n").encode()


def test_the_entry_fits_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    path = REAL_DATA / "schemas" / "slicer-extension-catalog-entry-v1.0.2.json"
    if not path.is_file():
        pytest.skip("the schema of the Extensions Index is not here (REACTKD_REAL_DATA); the hook downloads it")
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(entry(), schema)
    assert entry()["$schema"] == schema["$id"]
    for fault in ({"tier": 6}, {"scm_url": 1}, {"other": "key"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**entry(), **fault}, schema)


def test_every_picture_of_the_catalog_is_in_the_repository() -> None:
    project = cmake()
    icon, pictures = project["EXTENSION_ICONURL"], project["EXTENSION_SCREENSHOTURLS"].split()
    assert len(pictures) >= 3
    for address in (icon, *pictures):
        _, branch, name = _ADDRESS.fullmatch(address).groups()
        assert branch == entry()["scm_revision"]
        assert (REPOSITORY / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", name
    home = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = {_ADDRESS.fullmatch(address)[3] for address in pictures}
    assert shown & set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", home)), "the home page shows one of them"


def test_the_description_names_the_purpose_and_the_clinical_limit() -> None:
    """Two sentences and the warning, in characters that CMake and the catalog display unchanged."""
    text = cmake()["EXTENSION_DESCRIPTION"]
    assert text.endswith("not for clinical use.") and len(re.findall(r"\.(?: |$)", text)) <= 3
    assert text.isascii() and not set(text) & set(";$\\<>&#")


def test_a_clone_is_below_the_size_limit_of_the_index() -> None:
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a git checkout")
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    counted = subprocess.run(["git", "count-objects", "-v"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    packed = sum(int(kilobytes) for kilobytes in re.findall(r"^size(?:-pack)?: (\d+)$", counted.stdout, re.MULTILINE))
    size = sum(path.stat().st_size for path in paths if path.is_file()) + packed * 2**10
    assert size < LARGEST_REPOSITORY
