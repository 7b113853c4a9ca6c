"""The worker as the client sees it: a process that takes lines and leaves lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from REACTKDLib.core.worker.interpreter import find_python, worker_environment

DEBUG = "REACTKD_DEBUG"
NO_SPACE_STATUS = 74  # of a worker that cannot write its replies, and so cannot say why it ends


class WorkerProcess:
    """A process just started. ready: it has said that it reads its input; send nothing before, as that could wait."""

    _count = 0

    def __init__(
        self, folder: Path, python: str | None, environment: Mapping[str, str] | None, runner: str | None
    ) -> None:
        """Raises: WorkerNotStarted, OSError."""
        WorkerProcess._count += 1
        self.ready = False
        replies = f"replies-{WorkerProcess._count}.jsonl"
        (folder / replies).touch()
        self._replies = (folder / replies).open("rb")
        self._rest = b""
        command = [python or find_python(), "-m", "REACTKDLib.core.worker", str(folder), replies]
        quiet = None if os.environ.get(DEBUG) else subprocess.DEVNULL
        self._popen = subprocess.Popen(
            command + ([runner] if runner else []),
            stdin=subprocess.PIPE,
            stdout=quiet,
            stderr=quiet,
            env=worker_environment(environment),
            cwd=folder,
            creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._popen.pid

    def send(self, message: dict[str, Any]) -> None:
        """Write one line. A process that has ended does not read it; `status` tells."""
        with suppress(OSError, ValueError):
            self._popen.stdin.write(json.dumps(message).encode() + b"\n")
            self._popen.stdin.flush()

    def new_lines(self) -> list[bytes]:
        """Return the whole lines that have come since the last call."""
        *lines, self._rest = (self._rest + self._replies.read()).split(b"\n")
        return lines

    def status(self) -> int | None:
        """Return the exit status once the process has ended, else None."""
        return self._popen.poll()

    def end(self) -> None:
        """End the process now, whatever it does."""
        with suppress(OSError):
            self._popen.kill()
        with suppress(OSError):
            self._popen.stdin.close()
        self._replies.close()

    def reaped(self) -> bool:
        """True when nothing is left of an ended process."""
        return self._popen.poll() is not None

    def wait(self) -> None:
        """Wait a moment for an ended process to go."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(2.0)
