"""The worker's loop: jobs arrive as lines of JSON on standard input; events are written as lines of JSON to a file.

A file can be read without blocking on every system. Standard input is read by a thread, so that a cancel is noticed
while a job runs. When it closes, the client is gone or has dropped this worker, which removes its own folder and ends.
It removes the client's folder too if the client's lock is free; a living client may have started another worker.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import queue
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import Canceled, ReactkdError, UsageError
from REACTKDLib.core.garbage import loading
from REACTKDLib.core.log import WORKER, log_cause, log_unforeseen
from REACTKDLib.core.memory import lacks_memory, out_of_memory
from REACTKDLib.core.text import packed
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker.folder import remove_abandoned, remove_folder
from REACTKDLib.core.worker.jobs import from_message, parsed_line
from REACTKDLib.core.worker.process import NO_SPACE_STATUS

PROGRESS_EVERY_S = 0.05
LOCK_FREED_S = 1.0  # an ending client closes its pipe shortly before or after releasing its lock


class Replies:
    """Appends events to the reply file. Each line is a single write, since the client may read at any time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def send(self, event: str, **fields: Any) -> None:
        """Append one event; ends the process when the disk is full, as there is no other way to report it."""
        line = json.dumps(packed({"event": event, **fields}), allow_nan=False).encode() + b"\n"
        try:
            written = self._file.write(line)
        except OSError:
            written = 0
        if written != len(line):
            os._exit(NO_SPACE_STATUS)


class Inbox:
    """Reads standard input in a thread: jobs into a queue, cancels into a set. leave: called when it has closed."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._jobs: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stopped: set[int] = set()
        threading.Thread(target=self._read, daemon=True).start()

    def next_job(self) -> dict[str, Any]:
        """Wait for a job."""
        return self._jobs.get()

    def has_job(self) -> bool:
        """True while a job waits."""
        return not self._jobs.empty()

    def stopped(self, ticket: int) -> bool:
        """Return True if the client has canceled this job."""
        return ticket in self._stopped

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            try:
                message = parsed_line(line)
            except UsageError:  # it has no ticket, so no reply is expected
                continue
            if "stop" in message:
                self._stopped.add(message["stop"])
            else:
                self._stopped.discard(message["ticket"])  # a job that yielded is submitted again under its ticket
                self._jobs.put(message)
        try:
            self._leave()
        finally:
            os._exit(0)  # no client is left for the running work


def main(arguments: Sequence[str]) -> int:
    """Serve until standard input closes.

    arguments: the client's folder; the relative path of the reply file, in this worker's own folder inside it; and a
    runner as module:name.
    """
    folder, replies_name, *runner = arguments
    warnings.simplefilter("ignore")
    own = (Path(folder) / replies_name).parent
    inbox = Inbox(lambda: _leave(Path(folder), own))
    replies = Replies(Path(folder) / replies_name)
    replies.send("ready")
    handler = None
    while True:
        message = inbox.next_job()
        ticket = message.pop("ticket")
        try:
            with loading() if handler is None else nullcontext():  # the first job imports the libraries
                if handler is None:
                    handler = _handler(Path(folder), own.name, *runner)
                answer = _do(handler, message, ticket, inbox, replies)
            replies.send("done", ticket=ticket, answer=answer)
            with suppress(Exception):  # a failure here will occur again and be reported when the job needs it
                handler.draw_ahead(inbox.has_job)
        except Canceled:
            replies.send("canceled", ticket=ticket)
        except Exception as error:  # the user sees one sentence, whatever the fault
            code, text = _code_and_text(error)
            replies.send("failed", ticket=ticket, code=code, message=text)


def _leave(folder: Path, own: Path) -> None:
    """Remove this worker's folder, and the client's if its lock is free."""
    os.chdir(folder.parent)  # Windows cannot remove the current folder of a process
    remove_folder(own)
    until = time.monotonic() + LOCK_FREED_S
    while folder.exists() and not remove_abandoned(folder) and time.monotonic() < until:
        time.sleep(0.05)


def _handler(folder: Path, own_name: str, runner: str | None = None) -> Any:
    from REACTKDLib.core.worker.handler import JobHandler

    count = 0

    def new_name() -> str:
        nonlocal count
        count += 1
        return f"{own_name}/{count}.npy"

    make_runner = None
    if runner:
        module, _, name = runner.partition(":")
        make_runner = getattr(importlib.import_module(module), name)
    return JobHandler(folder, new_name, make_runner)


def _do(handler: Any, message: dict[str, Any], ticket: int, inbox: Inbox, replies: Replies) -> dict[str, Any] | None:
    def is_canceled() -> bool:
        return inbox.stopped(ticket)

    if is_canceled():
        raise Canceled(_("The grading was stopped; nothing was written."))
    return handler.do(from_message(message), _throttled(ticket, replies), is_canceled)


def _throttled(ticket: int, replies: Replies) -> Callable[[float, str], None]:
    last_text, last_time = "", 0.0

    def progress(fraction: float, text: str) -> None:
        nonlocal last_text, last_time
        now = time.monotonic()
        if text != last_text or now - last_time >= PROGRESS_EVERY_S:
            last_text, last_time = text, now
            replies.send("progress", ticket=ticket, fraction=float(fraction), text=text)

    return progress


def _code_and_text(error: Exception) -> tuple[str, str]:
    """Return code and sentence for a fault. Sentences of our own errors contain roles, never file or patient names."""
    if lacks_memory(error):
        short = out_of_memory()
        return short.code, str(short)
    if isinstance(error, ReactkdError):
        log_cause(error, "a job of the worker", WORKER)
        return error.code, str(error)
    if isinstance(error, ImportError):
        name = (error.name or "").partition(".")[0]
        text = _("The Python package '{name}' is not installed or not whole; install REACTKD's packages again.").format(
            name=name or "?"
        )
        return "packages-missing", text
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        from REACTKDLib.core.worker.arrays import no_space

        failure = no_space(error)
        return failure.code, str(failure)
    where = log_unforeseen(error, "a job of the worker", WORKER)
    name = type(error).__name__
    text = _(
        "An unexpected fault stopped the grading ({name}); grade again, and report it if it stays; {where}."
    ).format(name=name, where=where)
    return "unexpected", text
