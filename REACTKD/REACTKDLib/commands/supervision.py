"""A batch in a process of its own, which is started anew behind a case that ended it.

A library that crashes, or a computer out of memory, ends a process and not a call; a night's run must not end with it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STATE = "REACTKD_BATCH_STATE"  # the file in which the process says how far it is
COMMAND = "batch"
CRASHED = "case-crashed"
_CRASHED_ROW = {
    "status": "failed",
    "error": CRASHED,
    "reason": "The process ended while it worked on this case, for lack of memory or by a damaged file; try the case "
    "alone, and report it if it stays.",
}
STOP_GRACE_S = 5.0
_STATUSES = (0, 2)  # of a process that ended as it should: done, or a sentence was said
_STOPS = (-signal.SIGINT, -signal.SIGTERM)


class CaseLog:
    """How far a batch is: a line when a case begins, and its row when it is through. Without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def of_this_process(cls) -> CaseLog:
        """That of a process that is watched; one that keeps nothing in any other."""
        path = os.environ.get(STATE)
        return cls(Path(path) if path else None)

    def begin(self) -> None:
        """Note that the next case is being graded."""
        self._append({"begun": True})

    def end(self, row: Mapping[str, Any]) -> None:
        """Note the row of that case."""
        self._append({"row": dict(row)})

    def rows(self) -> list[dict[str, Any]]:
        """The rows so far, with one of its own for each case that ended a process."""
        rows: list[dict[str, Any]] = []
        begun = False
        for entry in self._entries():
            if "row" in entry:
                rows.append(entry["row"])
            elif begun:
                rows.append(_CRASHED_ROW)
            begun = "row" not in entry
        return [*rows, _CRASHED_ROW] if begun else rows

    @property
    def begun(self) -> int:
        """How many cases have been begun."""
        return sum("begun" in entry for entry in self._entries())

    def _entries(self) -> list[dict[str, Any]]:
        if self._path is None or not self._path.exists():
            return []
        whole = self._path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in whole]

    def _append(self, entry: Mapping[str, Any]) -> None:
        if self._path is not None:
            with self._path.open("ab") as stream:
                stream.write(json.dumps(entry).encode() + b"\n")


def supervised(arguments: Sequence[str]) -> int | None:
    """Run a batch in a process of its own and return its exit status.

    None when the command is no batch, or when this is that process: then it watches for the end of the one that
    started it.
    """
    if os.environ.get(STATE):
        threading.Thread(target=_end_with_parent, daemon=True).start()
        return None
    if list(arguments[:1]) != [COMMAND]:
        return None
    folder = Path(tempfile.mkdtemp(prefix="reactkd-"))
    try:
        return _supervise(arguments, CaseLog(folder / "cases.jsonl"), folder / "cases.jsonl")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _supervise(arguments: Sequence[str], log: CaseLog, path: Path) -> int:
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, STATE: str(path), "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    while True:
        begun = log.begun
        command = [sys.executable, "-m", "REACTKDLib", *arguments]
        status = _wait(subprocess.Popen(command, stdin=subprocess.PIPE, env=environment))
        if status in _STATUSES or status in _STOPS:
            return 2 if status else 0
        if log.begun == begun:  # it ended before or behind the cases, and would again
            print(
                "The grading process ended by itself; free some memory, or install the packages again.", file=sys.stderr
            )
            return 2


def _wait(process: subprocess.Popen) -> int:
    """Wait for the end; a stop of this process is passed on."""
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal has told the process too
        try:
            process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return 2
    finally:
        signal.signal(signal.SIGTERM, previous)
        process.stdin.close()


def _end_with_parent() -> None:
    # Ends when the process that holds the other end is gone. Not through sys.stdin, whose lock Python wants at its end.
    while os.read(0, 1):
        pass
    shutil.rmtree(Path(os.environ[STATE]).parent, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)  # as a stop from outside, which leaves nothing half-written
    time.sleep(STOP_GRACE_S)
    os._exit(1)
