"""Earlier results are replaced all or none, whenever the process is killed, and no files of a dead run remain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from itertools import count, product
from pathlib import Path

import pytest

from REACTKDLib.commands import staging
from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.writing import replacing
from REACTKDLib.core.writing.atomic import write_files, write_text, written_beside
from REACTKDLib.core.writing.owners import hidden_name, is_alive, is_left_over
from REACTKDLib.core.writing.replacing import recover
from support.killed import PATH, killed_at, states_of_kills

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are killed by a signal of Unix")

NAMES = ("attention.nii.gz", "regions.csv", "regions.nii.gz", "report.json")


def grade(output: Path, text: str) -> None:
    """Write results as `grade` does."""
    with all_or_nothing(output) as folder:
        for name in NAMES:
            (folder / name).write_text(text)


def save_bundle(target: Path, text: str) -> None:
    """Write a model folder as `Bundle.save` does."""
    with written_beside(target) as beside:
        beside.mkdir()
        for name in ("metadata", "weights"):
            (beside / name).write_text(text)


@pytest.fixture(params=[True, False], ids=["exchanged", "moved one by one"])
def whole(request, monkeypatch) -> bool:
    """Whether the file system can exchange two folders atomically."""
    if not request.param:
        for module in (replacing, staging):
            monkeypatch.setattr(module, "exchange", lambda one, other: False)
    elif not sys.platform.startswith("linux"):
        pytest.skip("this system cannot exchange folders")
    return request.param


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".reactkd-*")]


@pytest.mark.parametrize("mine", [True, False], ids=["with a file of the user", "results alone"])
def test_a_kill_at_any_step_of_a_second_run_keeps_one_complete_result(tmp_path, whole, mine):
    grade(tmp_path / "run" / "results", "old")
    if mine:
        (tmp_path / "run" / "results" / "mine.txt").write_text("mine")
    second = partial(grade, tmp_path / "run" / "results", "new")
    kinds = set()
    left = states_of_kills(tmp_path / "run", second, tmp_path / "left")
    for state in left:
        output = state / "results"
        found = contents(output)
        found.pop("mine.txt", None)
        assert len(set(found.values())) <= 1, "old and new results must not be mixed"
        if "report.json" in found:
            assert len(found) == len(NAMES), "a folder with its report must be complete"
        if whole and not mine:
            assert len(found) == len(NAMES), "exchanged folders are never incomplete"
        kinds.add(tuple(sorted(found)))
        # The next reader finds all of the old files or all of the new ones, and no hidden files.
        recover(output.parent)
        recover(output)
        after = contents(output)
        assert after.pop("mine.txt", "mine") == "mine"
        assert after in ({name: "old" for name in NAMES}, {name: "new" for name in NAMES})
        assert hidden(state) == []
        # The next run succeeds.
        with all_or_nothing(output) as folder:
            (folder / "report.json").write_text("third")
        assert contents(output)["report.json"] == "third"
    assert len(left) > 5 and contents(tmp_path / "run" / "results")["report.json"] == "new"
    assert whole and not mine or len(kinds) > 2, "the steps between were seen"


def test_the_next_run_completes_what_a_killed_one_began(tmp_path):
    output = tmp_path / "results"
    for at in range(3, 20, 2):
        write_text(output / "report.json", "old")
        write_text(output / "mine.txt", "mine")
        killed_at(at, partial(grade, output, "new"))
        with all_or_nothing(output) as folder:
            (folder / "report.json").write_text("third")
        found = contents(output)
        assert found.pop("report.json") == "third" and found.pop("mine.txt") == "mine"
        assert set(found) in (set(), set(NAMES) - {"report.json"}) and hidden(tmp_path) == []
        for name in found:
            (output / name).unlink()


def test_a_folder_replaced_by_a_killed_run_is_found_again(tmp_path, whole):
    save_bundle(tmp_path / "run" / "bundle", "old")
    second = partial(save_bundle, tmp_path / "run" / "bundle", "new")
    left = states_of_kills(tmp_path / "run", second, tmp_path / "left")
    for state in left:
        target = state / "bundle"
        if whole:
            assert len(contents(target)) == 2
        recover(state)
        assert contents(target) in ({"metadata": v, "weights": v} for v in ("old", "new"))
        assert [path.name for path in state.iterdir()] == ["bundle"]
    assert len(left) > 3


def test_a_failed_undo_deletes_nothing(tmp_path, monkeypatch):
    """Every pair of a failing rename and a failing undo: all old results are still there."""
    real = os.rename
    for pair in product(range(1, 9), range(1, 5)):
        output = tmp_path / f"{pair}"
        for name in (*NAMES, "mine.txt"):
            write_text(output / name, "old")
        calls = count(1)

        def fails(source, destination, first=pair[0], then=pair[1], calls=calls):
            if next(calls) in (first, first + then):
                raise OSError(28, "No space left on device")
            real(source, destination)

        monkeypatch.setattr(os, "rename", fails)
        with pytest.raises(OutputNotWritable):
            grade(output, "new")
        monkeypatch.setattr(os, "rename", real)
        olds = [p for p in output.rglob("*") if p.is_file() and p.name in NAMES and p.read_text() == "old"]
        assert sorted(p.name for p in olds) == sorted(NAMES)
        recover(output)
        found = contents(output)
        assert found.pop("mine.txt") == "old"
        assert found in ({name: "old" for name in NAMES}, {name: "new" for name in NAMES})
        assert hidden(output) == []


def test_hidden_files_of_running_processes_stay_and_those_of_ended_ones_are_removed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfrom pathlib import Path\n"
         "from REACTKDLib.core.writing.atomic import written_beside\n"
         "with written_beside(Path(sys.argv[1]) / 'a.json') as beside:\n"
         "    beside.write_text('half'); print(beside.name, flush=True); sys.stdin.read()\n", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": PATH},
    )  # fmt: skip
    name = holder.stdout.readline().strip()
    recover(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    holder.kill()
    holder.communicate()
    write_text(tmp_path / "b.json", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_a_reused_process_id_does_not_keep_hidden_files():
    assert is_alive(os.getpid()) and not is_left_over(Path(hidden_name("x.csv")))
    own = hidden_name("x.csv")
    if Path("/proc/self/stat").exists():
        parts = own.split("-")
        parts[3] = str(int(parts[3]) + 1)
        assert is_left_over(Path("-".join(parts)))


def test_hidden_files_of_another_computer_are_removed_after_a_week(tmp_path):
    parts = hidden_name("x.csv").split("-")
    parts[1] = "0" * 8
    left = tmp_path / "-".join(parts)
    left.write_text("half")
    recover(tmp_path)
    assert left.exists()
    long_ago = left.stat().st_mtime - 8 * 86400
    os.utime(left, (long_ago, long_ago))
    recover(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("mine", [True, False], ids=["with a file of the user", "results alone"])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_replaced_file_keeps_its_permissions(tmp_path, whole, mine, mode):
    """A file that its owner closed to others must not be open to them after the next write."""
    output = tmp_path / "results"
    grade(output, "old")
    if mine:
        (output / "mine.txt").write_text("mine")
    for name in NAMES:
        (output / name).chmod(mode)
    grade(output, "new")
    assert {(output / name).read_text() for name in NAMES} == {"new"}
    assert {(output / name).stat().st_mode & 0o777 for name in NAMES} == {mode}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_file_written_again_keeps_its_permissions(tmp_path, mode):
    for write in (lambda text: write_text(tmp_path / "a.csv", text),
                  lambda text: write_files(tmp_path, {"a.csv": text.encode()}),
                  lambda text: write_files(tmp_path, {"a.csv": text.encode(), "b.csv": b"b"})):  # fmt: skip
        write("old")
        (tmp_path / "a.csv").chmod(mode)
        write("new")
        assert (tmp_path / "a.csv").read_text() == "new"
        assert (tmp_path / "a.csv").stat().st_mode & 0o777 == mode
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    write_text(tmp_path / "link.csv", "of its own")  # a link has no permissions; what it led to stays
    assert not (tmp_path / "link.csv").is_symlink() and (tmp_path / "a.csv").read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize("mode", [None, 0o600, 0o644])
def test_nobody_else_reads_a_file_before_it_has_the_permissions_of_the_former_one(tmp_path, mode):
    """Until it took its place, what replaced a closed file was open to all under its hidden name."""
    target, usual = tmp_path / "a.csv", tmp_path / "usual"
    usual.touch()
    if mode is not None:
        target.touch(mode)
    with written_beside(target) as beside:
        beside.write_text("new")
        seen = beside.stat().st_mode & 0o777
    default = usual.stat().st_mode & 0o777
    assert seen == (default if mode is None else 0o600)
    assert target.read_text() == "new" and target.stat().st_mode & 0o777 == (default if mode is None else mode)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("mode, expected", [(0o660, 0o600), (0o640, 0o600), (0o664, 0o644), (0o644, 0o644)])
def test_a_group_that_cannot_be_kept_gives_its_rights_to_no_other(mode, expected):
    """A file of one group was open to the group of whoever wrote it next."""
    shared = Path(tempfile.mkdtemp(dir="/var/tmp"))  # whose parents everybody may enter
    try:
        shared.chmod(0o777)
        (shared / "review.json").write_text("old")
        os.chown(shared / "review.json", 12345, 54321)
        (shared / "review.json").chmod(mode)
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(12346)
        os.seteuid(12346)
        try:
            write_text(shared / "review.json", "new")
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
        found = (shared / "review.json").stat()
        assert (shared / "review.json").read_text() == "new" and found.st_gid == 12346
        assert found.st_mode & 0o777 == expected
    finally:
        shutil.rmtree(shared)


def left_by_a_dead_run(home: Path) -> Path:
    """An empty hidden folder of a run of another computer, a month old."""
    left = home / ".reactkd-00000000-1-1-aaaaaaaa+"
    left.mkdir(parents=True)
    return left


def aged(left: Path) -> None:
    os.utime(left, (1e9, 1e9))


@pytest.mark.parametrize("linked", ["new", "old", "both"])
def test_a_link_in_a_hidden_folder_moves_nothing_from_elsewhere(tmp_path, linked):
    """Everybody who writes to a shared folder could plant one, and so have private files moved into that folder."""
    private, home = tmp_path / "private", tmp_path / "shared"
    private.mkdir()
    (private / "letter.txt").write_text("private")
    left = left_by_a_dead_run(home)
    for name in ("new", "old"):
        (left / name).symlink_to(private) if linked in (name, "both") else (left / name).mkdir()
    if linked == "old":
        (left / "new" / "report.json").write_text("theirs")
    write_text(home / "report.json", "mine")
    aged(left)
    recover(home)
    assert contents(private) == {"letter.txt": "private"} and contents(home) == {"report.json": "mine"}
    assert hidden(home) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_hidden_folder_of_another_user_is_left_to_them(tmp_path):
    left = left_by_a_dead_run(tmp_path)
    for name in ("new", "old"):
        (left / name).mkdir()
    (left / "new" / "a.csv").write_text("theirs")
    os.chown(left, 12345, 12345)
    aged(left)
    recover(tmp_path)
    assert (left / "new" / "a.csv").exists() and contents(tmp_path) == {}
    os.chown(left, 0, 0)
    aged(left)
    recover(tmp_path)
    assert contents(tmp_path) == {"a.csv": "theirs"} and hidden(tmp_path) == []


def test_names_are_unique_and_keep_the_suffix():
    names = {hidden_name("m.seg.nrrd") for _ in range(1000)}
    assert len(names) == 1000 and all(name.endswith(".m.seg.nrrd") for name in names)
    assert len(hidden_name("肝" * 80 + ".nii.gz").encode()) < 255


def test_the_search_for_leftovers_is_not_repeated(tmp_path, monkeypatch):
    """The search is not repeated for each of thousands of files."""
    looks = []
    real = replacing.recover
    monkeypatch.setattr(replacing, "recover", lambda home: looks.append(real(home)))
    for number in range(200):
        (tmp_path / f"{number}.npz").touch()
    for _ in range(300):
        replacing.recover_now_and_then(tmp_path)
    assert 1 <= len(looks) < 100


def test_files_of_one_output_are_written_together_or_not_at_all(tmp_path):
    write_files(tmp_path, {"regions.dcm": b"old", "report.dcm": b"of old"})
    with pytest.raises(OutputNotWritable):
        write_files(tmp_path, {"regions.dcm": b"new", "no folder/report.dcm": b"of new"})
    held = lambda: {path.name: path.read_bytes() for path in tmp_path.iterdir()}  # noqa: E731
    assert held() == {"regions.dcm": b"old", "report.dcm": b"of old"}
    assert [p.name for p in write_files(tmp_path, {"regions.dcm": b"new", "a.dcm": b"b"})] == ["regions.dcm", "a.dcm"]
    assert held() == {"regions.dcm": b"new", "report.dcm": b"of old", "a.dcm": b"b"}
