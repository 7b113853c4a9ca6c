"""The set-up script on an incomplete system: one sentence that says what to do, and no half-made environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "setup_environment.sh"

# The output of `$python -c ...`, chosen by words in its argument.
PYTHON = """#!/bin/sh
case "$*" in
  *version_info\\ \\<*) exit {too_old} ;;
  *version_info*) echo python3.11-venv ;;
  *ensurepip*) exit {no_ensurepip} ;;
  -V) echo "Python {version}" ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


@pytest.fixture
def computer(tmp_path: Path) -> Path:
    """A folder of fake programs, first on PATH; the user is not root."""
    program(tmp_path, "id", "#!/bin/sh\necho 1000\n")
    return tmp_path


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def python(folder: Path, version: str = "3.11.2", too_old: int = 0, no_ensurepip: int = 0) -> str:
    text = PYTHON.format(version=version, too_old=too_old, no_ensurepip=no_ensurepip)
    return str(program(folder, "some-python", text))


def set_up(computer: Path, interpreter: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(SCRIPT), interpreter, str(computer / "venv")]
    environment = {"PATH": f"{computer}:/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=computer)


def test_a_missing_python_is_reported(computer: Path) -> None:
    result = set_up(computer, "")
    assert result.returncode == 1
    assert "install Python 3.10 or newer" in result.stderr


def test_an_old_python_is_refused(computer: Path) -> None:
    result = set_up(computer, python(computer, version="3.8.10", too_old=1))
    assert result.returncode == 1
    assert "is Python 3.8.10, 3.10 or newer is needed" in result.stderr


def test_a_python_without_venv_is_reported(computer: Path) -> None:
    result = set_up(computer, python(computer, no_ensurepip=1))
    assert result.returncode == 1
    assert result.stderr.rstrip().endswith("sudo apt-get install -y python3.11-venv")
    assert not (computer / "venv").exists()


def test_as_root_on_debian_the_missing_package_is_installed(computer: Path) -> None:
    interpreter = python(computer, no_ensurepip=1)
    program(computer, "id", "#!/bin/sh\necho 0\n")
    program(computer, "apt-get", f'#!/bin/sh\necho "$@" >> {computer}/asked\n')  # succeeds without installing anything
    result = set_up(computer, interpreter)
    assert "python3.11-venv" in (computer / "asked").read_text(encoding="utf-8")
    assert result.returncode == 1, "the missing package must be reported"
    assert "apt-get install -y python3.11-venv" in result.stderr
