"""Plain CMake, with a stand-in for Slicer's macros, installs the extension as Slicer would, and it runs installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import cmake_lists

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPTED_MODULES = "lib/Slicer-5.13/qt-scripted-modules"

needs_cmake = pytest.mark.skipif(
    shutil.which("cmake") is None or not (shutil.which("cc") and shutil.which("c++")),
    reason="CMake and a compiler, which Slicer's build asks for, are not installed",
)


def configure(source: Path, build: Path, install: Path, *options: str) -> subprocess.CompletedProcess[str]:
    stand_in = f"-DSlicer_DIR={REPOSITORY / 'Testing' / 'cmake'}"
    command = ["cmake", "-S", source, "-B", build, stand_in, f"-DCMAKE_INSTALL_PREFIX={install}"]
    command += [f"-DSlicer_PYTHON={sys.executable}", *options]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that Slicer would add to its module search paths."""
    folder = tmp_path_factory.mktemp("extension")
    result = configure(REPOSITORY, folder / "build", folder / "install")
    assert result.returncode == 0, result.stdout + result.stderr
    subprocess.run(["cmake", "--install", str(folder / "build")], check=True, capture_output=True)
    return folder / "install" / SCRIPTED_MODULES


def run_from(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python from an unrelated folder, with the installed tree as the only source of the packages."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@needs_cmake
def test_the_installed_tree_is_every_file_of_both_modules(installed: Path) -> None:
    expected = {name for module in cmake_lists.MODULES for files in cmake_lists.files_of(module) for name in files}
    found = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert {name for name in found if "__pycache__" not in name} == expected


@needs_cmake
def test_the_command_line_runs_from_the_installed_tree(installed: Path, tmp_path: Path) -> None:
    result = run_from(installed, tmp_path, "-m", "REACTKDLib", "--help")
    assert result.returncode == 0, result.stderr
    assert "grade" in result.stdout


@needs_cmake
def test_both_libraries_are_importable_side_by_side(installed: Path, tmp_path: Path) -> None:
    code = "import REACTKDLib, REACTKDTrainLib; print(REACTKDLib.__file__); print(REACTKDTrainLib.__file__)"
    result = run_from(installed, tmp_path, "-c", code)
    assert result.returncode == 0, result.stderr
    assert [Path(line).parents[1] for line in result.stdout.split()] == [installed, installed]


@needs_cmake
def test_the_training_module_is_installed_as_a_command_line_module_and_finds_its_library(
    installed: Path, tmp_path: Path
) -> None:
    commands = installed.parent / "cli-modules"
    assert sorted(p.name for p in commands.iterdir()) == ["REACTKDTrain.py", "REACTKDTrain.xml"]
    script = str(commands / "REACTKDTrain.py")
    described = (commands / "REACTKDTrain.xml").read_text(encoding="utf-8")
    assert run_from(tmp_path, tmp_path, script, "--xml").stdout == described
    assert "--cohort" in run_from(tmp_path, tmp_path, script, "--help").stdout
    result = run_from(tmp_path, tmp_path, script, "--cohort", "phantom:x", "--output", "o")
    assert result.stderr.startswith("There is no phantom cohort 'x'"), result.stderr


@needs_cmake
def test_the_shipped_student_is_found_in_the_installed_tree(installed: Path, tmp_path: Path) -> None:
    code = "from REACTKDLib.core.student.bundle import shipped_bundle_folder; print(shipped_bundle_folder())"
    result = run_from(installed, tmp_path, "-c", code)
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()) == installed / "Resources" / "Models" / "reactkd-phantom"


def ctest(installed: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run one CTest test of the build, which uses the installed files."""
    build = installed.parents[3] / "build"
    command = ["ctest", "--test-dir", str(build), "-R", f"^{name}$", "--no-tests=error", "-V"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@needs_cmake
def test_the_installed_module_passes_the_generic_test(installed: Path) -> None:
    """Its panel opens with the installed files alone."""
    result = ctest(installed, "qSlicerREACTKDModuleGenericTest")
    assert result.returncode == 0, result.stdout
    assert f"REACTKD ran from {installed}" in result.stdout


@pytest.mark.slow
@needs_cmake
def test_the_installed_modules_own_tests_pass(installed: Path) -> None:
    """It grades with the installed files alone: library, worker process, panel files, shipped student."""
    result = ctest(installed, "py_REACTKD")
    assert result.returncode == 0, result.stdout
    assert f"REACTKD ran from {installed}" in result.stdout
    assert all(f"{name} " in result.stdout for name in ("test_gradesAPhantom", "test_panelGradesAPhantom"))


@needs_cmake
def test_the_stand_in_refuses_a_file_that_does_not_exist(tmp_path: Path) -> None:
    for name in ("CMakeLists.txt", "REACTKD", "REACTKDTrain"):
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / "REACTKD" / "REACTKDLib" / "__init__.py").unlink()
    result = configure(tmp_path, tmp_path / "build", tmp_path / "install")
    assert result.returncode != 0
    assert "REACTKDLib/__init__.py" in result.stderr


@needs_cmake
@pytest.mark.parametrize(("version", "fits"), [("5.8", False), ("5.8.1", False), ("5.10", True), ("5.10.0", True)])
def test_slicer_5_10_is_the_oldest(tmp_path: Path, version: str, fits: bool) -> None:
    result = configure(REPOSITORY, tmp_path / "build", tmp_path / "install", f"-DSlicer_VERSION={version}")
    assert (result.returncode == 0) is fits, result.stderr
    assert fits or f"needs Slicer 5.10 or newer, and this is Slicer {version}" in " ".join(result.stderr.split())
