"""Processes that are killed at a chosen system call, as by a power failure or a batch system."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join(str(ROOT / part) for part in ("REACTKD", "REACTKDTrain", "Testing"))


def killed_at(at: int, work: Callable[[], object]) -> bool:
    """Run `work` in a fork of this process and kill it with SIGKILL at its `at`th call that changes names in folders.

    Returns False if the work ended before that, without an error.
    """
    child = os.fork()
    if child == 0:
        try:
            _kill_at_call(at)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed by itself"
    return False


def states_of_kills(folder: Path, work: Callable[[], object], states: Path) -> list[Path]:
    """Return copies of `folder` as a kill at each call that `killed_at` counts would leave it, and as `work` leaves it.

    One fork makes them all and is then killed: a fork for each call copies the tables of all memory of the tests. The
    copies are made in `states`; they have the times and permissions of the originals, and no owner that still runs.
    """

    def copy() -> None:
        nonlocal calls
        calls += 1
        shutil.copytree(folder, states / str(calls), symlinks=True)

    def watched() -> None:
        copy_now = _before_each_call(copy)
        work()
        copy_now()
        os.kill(os.getpid(), signal.SIGKILL)

    calls = 0
    assert killed_at(0, watched)
    return sorted(states.iterdir(), key=lambda path: int(path.name))


def _kill_at_call(at: int) -> None:
    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)

    calls = 0
    _before_each_call(count)


def _before_each_call(act: Callable[[], object]) -> Callable[[], None]:
    """Let `act` run before each call of this process that changes names in folders, but for its own; return it."""
    acting = False

    def act_once() -> None:
        nonlocal acting
        if not acting:
            acting = True
            act()
            acting = False

    def counted(real):
        def call(*arguments, **more):
            act_once()
            return real(*arguments, **more)

        return call

    accessor = getattr(pathlib, "_NormalAccessor", None)  # until Python 3.10 pathlib holds its own references
    for name in ("rename", "replace", "mkdir", "unlink", "rmdir"):
        call = counted(getattr(os, name))
        setattr(os, name, call)
        if accessor is not None:
            setattr(accessor, name, staticmethod(call))
    return act_once


@contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[Path]:
    """A real file system of `size` in memory, mounted at `folder`; skips where it cannot be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("there is no command to mount a small disk")
    if done.returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, left: int) -> None:
    """Write a file that leaves `left` bytes, in whole pages, on a small disk."""
    free = os.statvfs(disk)
    with open(disk / "filler", "wb") as file:
        file.write(b"\0" * max(free.f_bavail * free.f_bsize - left, 0))
