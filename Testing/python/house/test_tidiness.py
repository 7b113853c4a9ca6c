"""Obstacles for newcomers: paths of one machine, undocumented files, contradictory versions and names."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[3]
MACHINE_PATH = re.compile(r"(?<![\w.:/<>}$-])(/(home|root|Users|work|workspace|mnt|tmp)/[\w.-]+|[A-Z]:\\\\?Users)")


def tracked_files() -> list[Path]:
    """The files that git would publish: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a git checkout")
    paths = (REPOSITORY / name for name in result.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def text_of(path: Path) -> str:
    """The text of a file, or an empty string for a binary one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_path_of_a_machine() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}: {match.group(0)}"
        for path in tracked_files()
        if path != Path(__file__).resolve()
        for match in MACHINE_PATH.finditer(text_of(path))
    ]
    assert found == []


@pytest.mark.parametrize("text", ["cd /home/jane/x", "'/root/data'", "see /Users/me", "(/tmp/out)", r"C:\Users\me"])
def test_a_machine_path_is_recognized(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["https://example.org/home/jane", "a/home/b", "$HOME/root/x", "<repo>/work/x"])
def test_a_url_is_not_a_machine_path(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_no_trailing_blanks_and_one_final_newline() -> None:
    """As the hooks before a commit want it; the fuzzer's inputs are damaged on purpose, MONAI's schema is theirs."""
    faults = []
    for path in tracked_files():
        name, text = path.relative_to(REPOSITORY).as_posix(), text_of(path)
        if not text or name.startswith("Testing/fuzz/corpus/"):
            continue
        faults += [f"{name}:{n}" for n, line in enumerate(text.split("\n"), 1) if line != line.rstrip()]
        if path.name != "metadata_schema.json" and not re.search(r"[^\n]\n\Z", text):
            faults.append(f"{name} ends in no line break, or in several")
    assert faults == []


def test_every_python_file_has_a_docstring() -> None:
    files = [path for path in tracked_files() if path.suffix == ".py"]
    assert len(files) > 10
    assert [
        str(path.relative_to(REPOSITORY)) for path in files if not ast.get_docstring(ast.parse(text_of(path)))
    ] == []


def test_the_license_is_the_standard_text_of_apache_2() -> None:
    digest = hashlib.sha256((REPOSITORY / "LICENSE.txt").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def requirements(lines: list[str]) -> dict[str, set[str]]:
    """Name in lower case -> its version requirements, from one requirement per line."""
    found: dict[str, set[str]] = {}
    for line in lines:
        text = line.partition("#")[0].partition(";")[0].strip()
        if text:
            name, version = re.fullmatch(r"([A-Za-z0-9._-]+)\s*([<>=!~].*)", text).groups()
            found.setdefault(name.lower(), set()).add(version)
    return found


def lines_of(name: str) -> list[str]:
    return (REPOSITORY / name).read_text(encoding="utf-8").splitlines()


def project() -> dict[str, object]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_slicer_requirements_equal_those_of_pip_without_packages_of_slicer() -> None:
    wanted = requirements(lines_of("REACTKD/Resources/requirements.txt"))
    by_pip = requirements(project()["dependencies"])
    assert not {"torch", "numpy", "scipy", "simpleitk", "vtk", "requests", "pydicom"} & set(wanted)
    shell_alone = {"joblib"}  # for processes of `batch --jobs`; the panel uses its worker
    assert set(by_pip) - set(wanted) == {"torch", "numpy", "scipy", "simpleitk"} | shell_alone
    assert {name: by_pip[name] for name in wanted} == wanted
    assert requirements(lines_of("REACTKD/Resources/constraints.txt")) == {"torch": by_pip["torch"]}


def test_every_dependency_has_an_exact_version_for_development() -> None:
    pins = requirements(lines_of("requirements-dev.txt"))
    assert all(version.startswith("==") for versions in pins.values() for version in versions)
    optional = project()["optional-dependencies"]
    asked = requirements([*project()["dependencies"], *(line for lines in optional.values() for line in lines)])
    assert set(asked) <= set(pins)
    assert pins["torch"] == {"==2.13.0"}
