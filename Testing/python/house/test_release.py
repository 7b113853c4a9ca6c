"""One command writes the GitHub account into every URL; a check before a release finds those that remain."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import REACTKDLib
from tools import release

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in release.FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    release.write("Some-Body", tmp_path)
    return tmp_path


def test_no_other_file_has_an_address() -> None:
    command = ["git", "grep", "-lE", "com/[A-Za-z0-9-]+/SlicerREACTKD"]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if found.returncode not in (0, 1):
        pytest.skip("this is not a git checkout")
    assert {name for name in found.stdout.split() if "release" not in name} == set(release.FILES)
    assert all(release.owners().values())


def test_one_call_sets_them_all(copy: Path) -> None:
    assert release.faults_of_addresses(copy) == []
    assert {name for names in release.owners(copy).values() for name in names} == {"Some-Body"}
    assert (copy / "CMakeLists.txt").read_text().count("com/Some-Body/SlicerREACTKD") == 5
    release.write("another", copy)
    assert release.faults_of_addresses(copy) == []


@pytest.mark.parametrize("name", release.FILES)
def test_remaining_placeholders_are_found_in_each_file(copy: Path, name: str) -> None:
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace("Some-Body", release.PLACEHOLDER))
    assert release.faults_of_addresses(copy) == [f"{name}: no account is named yet; run make owner OWNER=<account>."]
    (copy / name).write_text(text.replace("Some-Body", "else"))
    assert release.faults_of_addresses(copy) == [
        "The addresses name Some-Body and else; run make owner OWNER=<account>."
    ]
    (copy / name).write_text("")
    assert release.faults_of_addresses(copy) == [f"{name} has no address of the repository."]


@pytest.mark.parametrize("account", ["", "OWNER", "two words", "-a", "a/b", "a--b", "x" * 40])
def test_an_invalid_account_is_refused(copy: Path, account: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        release.write(account, copy)
    assert release.faults_of_addresses(copy) == []


@pytest.mark.parametrize(
    ("first", "tag", "said"),
    [
        ("## 1.2.0 (2026-12-01)", "v1.2.0", None),
        ("## 1.2.0 (2026-12-01)", None, None),
        ("## 1.2.0 (2026-12-01)", "v1.2.1", "name it v1.2.0"),
        ("## 1.2.0 (2026-12-01)", "1.2.0", "name it v1.2.0"),
        ("## Unreleased\n\n## 1.2.0 (2026-12-01)", "v1.2.0", "must begin with"),
        ("## 1x2.0 (2026-12-01)", "v1.2.0", "must begin with"),
        ("## 1.2.0", "v1.2.0", "must begin with"),
        ("nothing yet", "v1.2.0", "must begin with"),
    ],
)
def test_tag_change_log_and_version_are_one(tmp_path: Path, first: str, tag: str | None, said: str | None) -> None:
    library = tmp_path / "REACTKD" / "REACTKDLib"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text('"""A library."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changes\n\n{first}\n\n- New.\n\n## 1.1.0 (2026-01-01)\n")
    faults = release.faults_of_version(tag, tmp_path)
    assert len(faults) == (said is not None) and (not faults or said in faults[0])


def test_the_version_is_that_of_the_library() -> None:
    assert release.version() == REACTKDLib.__version__


def test_a_release_is_refused_while_placeholders_remain(capsys: pytest.CaptureFixture[str]) -> None:
    left = [*release.faults_of_addresses(), *release.faults_of_version()]
    assert release.main([]) == (1 if left else 0)
    assert not left or capsys.readouterr().out.splitlines() == left
    assert release.main(["--tag", "v0"]) == 1
    with pytest.raises(SystemExit):
        release.main(["--owner", "two words"])
