"""The worker process from the client's side: sends and receives lines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from REACTKDLib.core.log import DEBUG
from REACTKDLib.core.text import packed
from REACTKDLib.core.worker.interpreter import find_python, worker_environment

NO_SPACE_STATUS = 74  # exit status of a worker that cannot write its replies, and so cannot report why it ends


class WorkerProcess:
    """A started process. ready: it has reported that it reads its input; sending before could block.

    The process may be a launcher, such as PythonSlicer, which starts the interpreter as a child and waits for it. Both
    are ended together. The process writes into its own folder inside `folder`, so that a process that is still ending
    never interferes with its successor.
    """

    _count = 0

    def __init__(
        self, folder: Path, python: str | None, environment: Mapping[str, str] | None, runner: str | None
    ) -> None:
        """Raises: WorkerNotStarted, OSError."""
        python = python or find_python()
        WorkerProcess._count += 1
        self.ready = False
        self._ended = False
        self._folder = folder / f"worker-{WorkerProcess._count}"
        self._folder.mkdir(mode=0o700)
        replies = f"{self._folder.name}/replies.jsonl"
        (folder / replies).touch()
        self._rest = b""
        command = [python, "-m", "REACTKDLib.core.worker", str(folder), replies]
        quiet = None if os.environ.get(DEBUG) else subprocess.DEVNULL
        self._popen = subprocess.Popen(
            command + ([runner] if runner else []),
            stdin=subprocess.PIPE,
            stdout=quiet,
            stderr=quiet,
            env=worker_environment(environment),
            cwd=self._folder,
            start_new_session=True,  # its own process group, which can be killed as a whole; Windows has none
            creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
        )
        self._replies = (folder / replies).open("rb")

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._popen.pid

    def send(self, message: dict[str, Any]) -> None:
        """Write one line. If the process has ended, the line is lost; see `status`."""
        with suppress(OSError, ValueError):
            self._popen.stdin.write(json.dumps(packed(message)).encode() + b"\n")
            self._popen.stdin.flush()

    def new_lines(self) -> list[bytes]:
        """Return the whole lines that have come since the last call."""
        *lines, self._rest = (self._rest + self._replies.read()).split(b"\n")
        return lines

    def status(self) -> int | None:
        """Return the exit status once the process has ended, else None. Its remaining child processes are ended too."""
        status = self._popen.poll()
        if status is not None:
            self.end()
        return status

    def end(self) -> None:
        """Kill the process at once, with everything that it started."""
        if self._ended:
            return
        self._ended = True
        _end_tree(self._popen)
        with suppress(OSError):
            self._popen.stdin.close()
        self._replies.close()

    def reaped(self) -> bool:
        """True if nothing is left of an ended process."""
        if self._popen.poll() is None:
            return False
        shutil.rmtree(self._folder, ignore_errors=True)
        return True

    def wait(self) -> None:
        """Wait briefly for an ended process to disappear."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(2.0)


def _end_tree(process: subprocess.Popen) -> None:
    """End a process and its descendants. Killing only a launcher would leave its child running."""
    if sys.platform != "win32":
        with suppress(OSError):  # the group is empty
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:  # descendants can be found only while the parent lives; others see their input close
        tool = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        command = [tool, "/F", "/T", "/PID", str(process.pid)]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            subprocess.Popen(command, creationflags=subprocess.CREATE_NO_WINDOW, **quiet)
        except OSError:
            process.kill()
