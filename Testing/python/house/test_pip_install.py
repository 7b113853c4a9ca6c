"""`pip install .` is enough for a cluster: both packages, the schema and the shipped student, from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import cmake_lists

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = ("REACTKD", "REACTKDTrain", "pyproject.toml", "setup.py", "README.md", "LICENSE.txt")

needs_builder = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import setuptools, pip"], capture_output=True, check=False).returncode != 0,
    reason="pip and setuptools are not in this environment",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project installed by pip, without dependencies and without network access."""
    folder = tmp_path_factory.mktemp("pip")
    for name in SOURCES:  # pip builds inside the source folder; this keeps the repository clean
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    result = subprocess.run(
        [*pip, "--target", str(folder / "site"), str(folder)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "site"


def run_from(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@needs_builder
def test_every_package_file_is_installed(site: Path) -> None:
    for module in cmake_lists.MODULES:
        scripts, resources = cmake_lists.files_of(module)
        for name in [*scripts, *resources]:
            if name.startswith(module.package + "/"):
                assert (site / name).is_file(), f"{name} is not installed by pip"


@needs_builder
def test_the_shipped_student_is_installed_whole_and_found(site: Path, tmp_path: Path) -> None:
    code = "from REACTKDLib.core.student.bundle import shipped_bundle_folder; print(shipped_bundle_folder())"
    result = run_from(site, tmp_path, "-c", code)
    assert result.returncode == 0, result.stderr
    found = Path(result.stdout.strip())
    assert found == site / "REACTKDLib" / "_resources" / "Models" / "reactkd-phantom"
    shipped = REPOSITORY / "REACTKD" / "Resources" / "Models" / "reactkd-phantom"
    for path in shipped.rglob("*"):
        if path.is_file():
            assert (found / path.relative_to(shipped)).read_bytes() == path.read_bytes()


@needs_builder
def test_the_command_line_runs_from_an_unrelated_folder(site: Path, tmp_path: Path) -> None:
    result = run_from(site, tmp_path, "-m", "REACTKDLib", "--help")
    assert result.returncode == 0, result.stderr
    assert "grade" in result.stdout


@needs_builder
@pytest.mark.parametrize(("name", "said"), [("reactkd", "grade"), ("reactkd-train", "cohorts")])
def test_the_commands_are_installed(site: Path, tmp_path: Path, name: str, said: str) -> None:
    script = next(path for path in (site / "bin").iterdir() if path.stem == name)
    result = run_from(site, tmp_path, str(script), "--help")
    assert result.returncode == 0 and said in result.stdout, result.stderr
    assert f"usage: {name} " in result.stdout
    slip = run_from(site, tmp_path, str(script), "frobnicate")
    assert slip.returncode == 2 and f"'{name} --help' lists" in slip.stderr
