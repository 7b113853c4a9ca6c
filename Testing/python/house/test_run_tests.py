"""The test runner: one process per group, and a reliable exit status."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).resolve().parents[2] / "tools" / "run_tests.sh"

PASSES = "def test_it(): pass\n"
FAILS = "def test_it(): assert False\n"
DIES = "import os\ndef test_it(): os.kill(os.getpid(), 11)\n"
SLOW = "import pytest\n@pytest.mark.slow\ndef test_it(): pass\n"


def run(
    folder: Path, *options: str, environment: dict[str, str] | None = None, **groups: str
) -> subprocess.CompletedProcess[str]:
    """Run the script over groups of one test file each."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow\naddopts = -p no:cacheprovider\n", encoding="utf-8")
    for name, text in groups.items():
        (folder / "Testing" / "python" / name).mkdir(parents=True)
        (folder / "Testing" / "python" / name / f"test_{name}.py").write_text(text, encoding="utf-8")
    command = ["sh", str(RUNNER), sys.executable, *options]
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    plain |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(folder)}  # none of these processes needs a plugin
    plain |= environment or {}
    return subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=False)


def test_all_groups_pass(tmp_path: Path) -> None:
    """Groups that the script lists, and one that it does not know."""
    result = run(tmp_path, core=PASSES, rendering=PASSES, later=PASSES)
    assert result.returncode == 0, result.stdout
    assert sorted(line for line in result.stdout.splitlines() if line.startswith("==")) == [
        f"== tests: {name}" for name in ("core", "later", "rendering")
    ]
    assert result.stdout.count("1 passed") == 3


def test_bytecode_is_kept_in_build_where_the_environment_writes_none(tmp_path: Path) -> None:
    """Otherwise each of hundreds of processes would compile torch again."""
    (tmp_path / "imported.py").write_text("", encoding="utf-8")
    imports = "import sys\ndef test_it():\n    sys.path.insert(0, '.')\n    import imported\n"
    wish = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": ""}
    result = run(tmp_path, environment=wish, core=imports)
    assert result.returncode == 0, result.stdout
    assert len(list((tmp_path / "build" / "bytecode").rglob("imported.*.pyc"))) == 1
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.parametrize("lanes", [2, 3])
def test_as_many_groups_run_at_a_time_as_there_are_lanes_the_longest_first(tmp_path: Path, lanes: int) -> None:
    """They wait for each other, then check for a second that the last group has not started."""
    meets = """
import pathlib, time
def test_it():
    pathlib.Path("met {own}").touch()
    end = time.monotonic() + 60
    while len(list(pathlib.Path().glob("met *"))) < {lanes}:
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(1)
    assert not pathlib.Path("last").exists()
"""
    last = "import pathlib\ndef test_it(): pathlib.Path('last').touch()\n"
    groups = {name: meets.format(own=name, lanes=lanes) for name in ("train", "core", "gui")[:lanes]}
    result = run(tmp_path, environment={"LANES": str(lanes)}, rendering=last, **groups)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("1 passed") == lanes + 1


@pytest.mark.parametrize("bad", ["core", "rendering"])
def test_a_failure_in_one_group_fails_the_run_and_the_others_still_run(tmp_path: Path, bad: str) -> None:
    """In the first group that runs and in the last; the script uses group names only for the order."""
    groups = {"core": PASSES, "scene": PASSES, "rendering": PASSES, bad: FAILS}
    result = run(tmp_path, **groups)
    assert result.returncode == 1
    assert result.stdout.count("1 passed") == 2


def test_a_crash_does_not_hide_the_results_of_the_others(tmp_path: Path) -> None:
    result = run(tmp_path, core=PASSES, scene=DIES, rendering=PASSES)
    assert result.returncode == 1
    assert "The test process of 'scene' died" in result.stdout
    assert result.stdout.count("1 passed") == 2


def test_a_group_without_a_selected_test_is_no_failure(tmp_path: Path) -> None:
    result = run(tmp_path, "-m", "slow", core=PASSES, scene=SLOW)
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout


@pytest.mark.parametrize("chosen", [True, False])
def test_only_the_temporary_files_of_failed_tests_stay(tmp_path: Path, chosen: bool) -> None:
    """Also those that programs write without pytest's knowledge; in the folder of TMPDIR, if it is set."""
    writes = """
import os, tempfile
def test_it(tmp_path):
    (tmp_path / "kept {own}").touch()
    tempfile.mkdtemp(prefix="left-behind-")
    print("written to", os.environ["TMPDIR"])
    assert {passes}
"""
    wish = {"TMPDIR": str(tmp_path / "own") if chosen else ""}
    (tmp_path / "own").mkdir()
    passed = run(tmp_path, "-s", environment=wish, core=writes.format(own="core", passes=True))
    assert passed.returncode == 0, passed.stdout
    scratch = Path(passed.stdout.split("written to ")[1].splitlines()[0])
    assert not scratch.exists() and (scratch.parent == tmp_path / "own") == chosen

    failed = run(tmp_path, environment=wish, scene=writes.format(own="scene", passes=False))
    assert failed.returncode == 1
    scratch = Path(failed.stderr.split("kept in ")[1].split(";")[0])
    assert sorted(path.name for path in scratch.rglob("kept *")) == ["kept scene"]
    shutil.rmtree(scratch)


def test_no_selected_test_at_all_is_a_failure(tmp_path: Path) -> None:
    result = run(tmp_path, "-m", "slow", core=PASSES, scene=PASSES)
    assert result.returncode == 1
    assert "No test was selected" in result.stderr
