"""Every supported Python on this machine compiles every file and has the standard library modules that they import.

If the packages are installed for it too, every module of both libraries is imported. This is always so for the Python
that runs the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDERS = ("REACTKD", "REACTKDTrain", "Testing")
CHECK = REPOSITORY / "Testing" / "support" / "standard_library.py"
PROMISED = ("3.10", "3.11", "3.12", "3.13")
# scene and gui need a running application, so their own tests import them.
IMPORTABLE = ("REACTKDLib.core", "REACTKDLib.commands", "REACTKDLib.__main__", "REACTKDTrainLib")
IMPORT_ALL = """
import importlib, pkgutil, sys
names = []
for top in sys.argv[1:]:
    module = importlib.import_module(top)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), top + "."):
        importlib.import_module(found.name)
        names.append(found.name)
assert "monai" not in sys.modules, "it takes seconds: only the functions that use it import it"
print(len(names))
"""


@cache
def interpreter(version: str) -> str | None:
    """The path of that Python: the current one, a working one on PATH, or one installed by pyenv."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in (shutil.which(f"python{version}"), *sorted(kept.glob(f"{version}.*/bin/python{version}"))):
        if found and run(str(found), "-c", "pass").returncode == 0:
            return str(found)
    return None


def run(*command: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(str(REPOSITORY / folder) for folder in FOLDERS[:2])
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False)


def needs(version: str) -> str:
    found = interpreter(version)
    if found is None:
        pytest.skip(f"Python {version} is not on this machine")
    return found


def between(version: str) -> object:
    """What the oldest and the newest version accept, those in between do too: only `make test-slow` checks them."""
    return pytest.param(version, marks=pytest.mark.slow)


@pytest.mark.parametrize("version", [PROMISED[0], *map(between, PROMISED[1:-1]), PROMISED[-1]])
def test_every_file_compiles_and_finds_its_standard_library(version: str) -> None:
    result = run(needs(version), "-S", str(CHECK), *FOLDERS)  # without packages: setuptools has its own distutils
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout.split()[0]) > 300


@pytest.mark.parametrize("version", PROMISED)
def test_every_module_is_imported_where_the_packages_are(version: str) -> None:
    python = needs(version)
    probe = (
        "import torch, monai, SimpleITK, skimage, ot, sklearn, matplotlib, pydantic, tqdm, pydicom, highdicom, openpyxl"
    )
    if python != sys.executable and run(python, "-c", probe).returncode:
        pytest.skip(f"Python {version} has not the packages of requirements-dev.txt")
    result = run(python, "-c", IMPORT_ALL, *IMPORTABLE)
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout.splitlines()[-1]) > 200


def test_every_file_states_the_same_oldest_python() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={PROMISED[0]}"' in text
    assert f'target-version = "py{PROMISED[0].replace(".", "")}"' in text


@pytest.mark.parametrize(
    ("version", "line", "said"),
    [
        ("3.10", "from datetime import UTC, datetime", "datetime has no UTC"),
        ("3.10", "import datetime\nnow = datetime.UTC", "datetime has no UTC"),
        ("3.10", "from typing import Self", "typing has no Self"),
        ("3.10", "def late():\n    import tomllib", "no module tomllib"),
        ("3.10", "from enum import StrEnum as Text", "enum has no StrEnum"),
        ("3.10", "from pathlib import Path\nwalk = Path.walk", "Path has no walk"),
        ("3.10", "try:\n    pass\nexcept* ValueError:\n    pass", "invalid syntax"),
        ("3.11", "def first[T](items: list[T]) -> T: ...", "expected"),
        ("3.12", "import distutils.util", "no module distutils"),
        ("3.13", "import cgi", "no module cgi"),
    ],
)
def test_the_check_reports_what_one_python_does_not_have(tmp_path: Path, version: str, line: str, said: str) -> None:
    (tmp_path / "bad.py").write_text(line, encoding="utf-8")
    result = run(needs(version), "-S", str(CHECK), str(tmp_path))
    assert result.returncode == 1 and re.search(said, result.stdout), result.stdout + result.stderr


@pytest.mark.parametrize(
    "line",
    [
        "import sys\nif sys.version_info >= (3, 11):\n    import tomllib\nelse:\n    import tomli as tomllib",
        "import os.path\nname = os.path.join('a', 'b')",
        "from collections import abc\nfrom os import path",
        "from __future__ import annotations\nfrom math import e",
        "from torch import absent",
    ],
)
def test_the_check_accepts_supported_imports(tmp_path: Path, line: str) -> None:
    (tmp_path / "good.py").write_text(line, encoding="utf-8")
    result = run(needs(PROMISED[0]), "-S", str(CHECK), str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr


def pins(version: str) -> list[Requirement]:
    """The requirements that `make venv` installs for that Python."""
    lines = (REPOSITORY / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return [r for r in found if r.marker is None or r.marker.evaluate({"python_version": version})]


@pytest.mark.parametrize("version", PROMISED)
def test_every_pinned_package_supports_that_python(version: str) -> None:
    """Each package is pinned once for that Python, to a release that supports it; checks only installed releases."""
    names = [r.name for r in pins(version)]
    assert len(names) == len(set(names)) > 20
    assert set(names) == {r.name for r in pins(PROMISED[-1])}
    refused, asked = [], 0
    for requirement in pins(version):
        found = distribution(requirement.name)
        if found.version.partition("+")[0] in requirement.specifier:
            asked += 1
            if f"{version}.0" not in SpecifierSet(found.metadata["Requires-Python"] or ""):
                refused.append(f"{requirement} needs Python {found.metadata['Requires-Python']}")
    assert not refused and asked > 12
