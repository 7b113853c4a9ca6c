"""Slicer installs only the files in CMakeLists.txt, so its lists must match the folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools import cmake_lists

MODULES = {module.folder: module for module in cmake_lists.MODULES}


@pytest.mark.parametrize("folder", MODULES)
def test_every_file_of_the_module_is_listed(folder: str) -> None:
    assert cmake_lists.differences(MODULES[folder]) == [], "run `make lists`"


@pytest.mark.parametrize("folder", MODULES)
def test_the_lists_are_not_empty(folder: str) -> None:
    scripts, _ = cmake_lists.files_of(MODULES[folder])
    assert f"{MODULES[folder].package}/__init__.py" in scripts


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of both modules that the test may change."""
    for folder in MODULES:
        shutil.copytree(cmake_lists.REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.pt"))
        cmake_lists.write(MODULES[folder], tmp_path)
    return tmp_path


def test_a_new_file_is_reported_until_the_lists_are_written(copy: Path) -> None:
    module = MODULES["REACTKD"]
    new = "REACTKDLib/core/newcomer.py"
    (copy / "REACTKD" / new).write_text('"""New."""\n', encoding="utf-8")
    assert cmake_lists.differences(module, copy) == [
        f"REACTKD/CMakeLists.txt, MODULE_PYTHON_SCRIPTS: {new} is not listed"
    ]
    assert cmake_lists.write(module, copy)
    assert cmake_lists.differences(module, copy) == []
    assert not cmake_lists.write(module, copy), "a second write has nothing to do"


def test_a_removed_file_is_reported(copy: Path) -> None:
    (copy / "REACTKDTrain" / "REACTKDTrainLib" / "__init__.py").unlink()
    (line,) = cmake_lists.differences(MODULES["REACTKDTrain"], copy)
    assert line.endswith("REACTKDTrainLib/__init__.py is listed but does not exist")


def test_caches_and_temporary_files_are_ignored(copy: Path) -> None:
    package = copy / "REACTKD" / "REACTKDLib"
    (package / "__pycache__").mkdir(exist_ok=True)
    for name in ("__pycache__/volume.cpython-311.pyc", ".hidden.py", "notes.txt~", "model.pt.part"):
        (package / name).write_text("", encoding="utf-8")
    assert cmake_lists.differences(MODULES["REACTKD"], copy) == []
