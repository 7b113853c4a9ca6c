"""One place sets the account in every address of the repository, and a check before a release finds what is left."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools import owner

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in owner.FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    owner.write("Some-Body", tmp_path)
    return tmp_path


def test_no_other_file_has_an_address() -> None:
    command = ["git", "grep", "-lE", "com/[A-Za-z0-9-]+/SlicerREACTKD"]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if found.returncode not in (0, 1):
        pytest.skip("this is not a git checkout")
    assert {name for name in found.stdout.split() if "owner" not in name} == set(owner.FILES)
    assert all(owner.owners().values())


def test_one_call_sets_them_all(copy: Path) -> None:
    assert owner.faults(copy) == []
    assert {name for names in owner.owners(copy).values() for name in names} == {"Some-Body"}
    assert (copy / "CMakeLists.txt").read_text().count("com/Some-Body/SlicerREACTKD") == 3
    owner.write("another", copy)
    assert owner.faults(copy) == []


@pytest.mark.parametrize("name", owner.FILES)
def test_what_is_left_is_found_in_each_file(copy: Path, name: str) -> None:
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace("Some-Body", owner.PLACEHOLDER))
    assert owner.faults(copy) == [f"{name}: no account is named yet; run make owner OWNER=<account>."]
    (copy / name).write_text(text.replace("Some-Body", "else"))
    assert owner.faults(copy) == ["The addresses name Some-Body and else; run make owner OWNER=<account>."]
    (copy / name).write_text("")
    assert owner.faults(copy) == [f"{name} has no address of the repository."]


@pytest.mark.parametrize("account", ["", "OWNER", "two words", "-a", "a/b", "a--b", "x" * 40])
def test_what_is_no_account_is_refused(copy: Path, account: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        owner.write(account, copy)
    assert owner.faults(copy) == []
