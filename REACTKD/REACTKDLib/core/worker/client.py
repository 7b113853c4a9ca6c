"""A non-blocking client of the worker: `submit` a job, `poll` for events from a timer, `cancel`, `close`."""

from __future__ import annotations

import atexit
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import OutOfMemory, ReactkdError
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.log import log_unforeseen
from REACTKDLib.core.memory import lacks_memory, out_of_memory
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.text import unpacked
from REACTKDLib.core.worker.answers import answer_from
from REACTKDLib.core.worker.arrays import no_space
from REACTKDLib.core.worker.events import Event, JobCanceled, JobDone, JobFailed, JobProgress, WorkerDied
from REACTKDLib.core.worker.folder import ScratchFolder
from REACTKDLib.core.worker.jobs import Job, handed_over, to_message
from REACTKDLib.core.worker.process import NO_SPACE_STATUS, WorkerProcess

STOP_GRACE_S = 0.7  # then the process is killed, so that a stop takes less than a second
LOOK_S = 0.005  # between two looks at the replies while a caller waits
START_S = 60.0

DIED = _("The grading process ended unexpectedly, perhaps for lack of memory; grade again to restart it.")
GARBLED = _("The grading process sent an unreadable reply and was ended; grade again to restart it.")
NOT_STARTED = _("The grading process did not start; restart the application, or install the extension again.")
FOLDER_GONE = _("The folder of the grading process was removed from the temporary folder; grade again.")
NO_SPACE = _("The temporary folder is full, so the grading process ended; free some space there and grade again.")


@dataclass(eq=False)
class _Entry:
    ticket: int
    job: Job
    background: bool
    stop_at: float | None = None  # time at which the process is killed for it
    again: bool = False  # stopped for another job; will be submitted again


class WorkerClient:
    """One worker process, started with the first job. No call blocks, except `settle`, and `close` for a moment.

    python, environment: of the process, instead of what `interpreter` finds. runner: 'module:name' of a factory of
    student runners. scratch_parent: parent of the private folder, instead of the system's temporary folder. clock:
    seconds.
    """

    def __init__(
        self,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        runner: str | None = None,
        scratch_parent: Path | str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = lambda folder: WorkerProcess(folder, python, environment, runner)
        self._scratch_parent = scratch_parent
        self._clock = clock
        self._scratch: ScratchFolder | None = None
        self._process: WorkerProcess | None = None
        self._ended: list[WorkerProcess] = []
        self._started_at = 0.0
        self._count = 0
        self._waiting: deque[_Entry] = deque()
        self._running: _Entry | None = None
        self._events: list[Event] = []
        self._litter: set[Path] = set()

    @property
    def scratch(self) -> ScratchFolder:
        """The private folder, made on first use; arrays of jobs are written there. Raises: NoScratchSpace.

        Systems clean their temporary folders: if the folder was removed meanwhile, a new one replaces it.
        """
        if self._scratch is not None and not self._scratch.path.is_dir():
            self._drop_process()  # it uses the removed folder
            self._fail_running("no-scratch-space", FOLDER_GONE)
            self._scratch.remove()
            self._scratch = None
        if self._scratch is None:
            try:
                self._scratch = ScratchFolder(self._scratch_parent)
            except OSError as error:
                raise no_space(error) from error
            _close_at_exit(self)
        return self._scratch

    @property
    def busy(self) -> bool:
        """True while a foreground job is running or waiting; prefetching does not count."""
        return any(not entry.background for entry in self._entries())

    @property
    def process_id(self) -> int | None:
        """The id of the process, None if there is none."""
        return self._process.pid if self._process is not None else None

    def submit(self, job: Job, background: bool = False) -> int:
        """Submit a job and return its ticket at once; failures are reported by `poll`.

        background: yields to every other job and starts over later; of several waiting jobs of a kind only the last is
        useful, and the others end as canceled.
        """
        if background:
            for entry in [e for e in self._waiting if e.background and type(e.job) is type(job)]:
                self._stop(entry)
        self._count += 1
        self._waiting.append(_Entry(self._count, job, background))
        running = self._running
        if not background and running is not None and running.background and not running.again:
            running.again = True
            self._send({"stop": running.ticket})
        self._advance()
        return self._count

    def poll(self) -> list[Event]:
        """Return what has happened since the last call; call it from a timer, every 30 ms or so."""
        if self._process is not None:
            self._read_replies()
            self._check_process()
        self._advance()
        self._ended = [process for process in self._ended if not process.reaped()]
        events, self._events = self._events, []
        return events

    def cancel(self, ticket: int | None = None) -> None:
        """Stop a job, or all foreground jobs. `poll` reports the end within a second.

        If a job does not stop by itself, its process is killed; open cases are then lost.
        """
        for entry in self._entries():
            if ticket == entry.ticket or (ticket is None and not entry.background):
                self._stop(entry)

    def settle(self, ticket: int, patience_s: float) -> None:
        """Wait until a job has ended, so that it can no longer write a file. `poll` reports its end as always.

        One that runs may finish within `patience_s`; then it is stopped. One that waits is stopped at once.
        """
        until = self._clock() + patience_s
        while entry := next((e for e in self._entries() if e.ticket == ticket), None):
            if entry is not self._running or self._clock() >= until:
                self._stop(entry)
            if self._process is not None:
                self._read_replies()
                self._check_process()
            time.sleep(LOOK_S)
        for process in self._ended:  # killed, and perhaps still about to write
            process.wait()

    def close(self) -> None:
        """End the process and remove the folder. Open jobs end without an event. May be called twice."""
        self._waiting.clear()
        self._running = None
        self._drop_process()
        for process in self._ended:
            process.wait()
        self._ended = []
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None
        _open_clients.discard(self)
        if not _open_clients:
            atexit.unregister(_close_all)  # otherwise it would keep this module alive after a reload

    def _entries(self) -> list[_Entry]:
        return [*([self._running] if self._running else []), *self._waiting]

    def _stop(self, entry: _Entry) -> None:
        if entry is not self._running:
            self._waiting.remove(entry)
            self._end(entry, JobCanceled(entry.ticket))
        elif entry.stop_at is None:
            entry.stop_at = self._clock() + STOP_GRACE_S
            self._send({"stop": entry.ticket})

    def _advance(self) -> None:
        """Send the next job to the process if it is idle; start the process if there is none."""
        if self._running is not None or not self._waiting:
            return
        if self._process is None:
            try:
                self._process = self._start(self.scratch.path)
            except ReactkdError as error:
                self._fail_all(error.code, str(error))
                return
            except OSError:
                self._fail_all("worker-not-started", NOT_STARTED)
                return
            self._started_at = self._clock()
        if not self._process.ready:
            return
        entry = next((e for e in self._waiting if not e.background), self._waiting[0])
        self._waiting.remove(entry)
        self._running = entry
        self._send({"ticket": entry.ticket, **to_message(entry.job)})

    def _send(self, message: dict[str, Any]) -> None:
        if self._process is not None:
            self._process.send(message)

    def _read_replies(self) -> None:
        try:
            for line in self._process.new_lines():
                self._take(parse_json(line, object_hook=unpacked))
        except Exception as error:  # whatever the fault
            self._drop_process()
            if lacks_memory(error):
                self._fail_running(OutOfMemory.code, str(out_of_memory()))
                return
            log_unforeseen(error, "an answer of the worker")
            self._fail_running("worker-garbled", GARBLED)

    def _take(self, reply: Mapping[str, Any]) -> None:
        event = reply["event"]
        if event == "ready":
            self._process.ready = True
            return
        entry = self._running
        if entry is None or reply["ticket"] != entry.ticket:
            return
        if event == "progress":
            if entry.stop_at is None and not entry.again:
                self._events.append(JobProgress(entry.ticket, float(reply["fraction"]), str(reply["text"])))
            return
        ended = {
            "done": lambda: JobDone(entry.ticket, answer_from(reply["answer"], entry.job, self.scratch.path)),
            "failed": lambda: JobFailed(entry.ticket, str(reply["code"]), str(reply["message"])),
            "canceled": lambda: JobCanceled(entry.ticket),
        }[event]()
        self._running = None
        if isinstance(ended, JobDone):
            self._litter.update(self.scratch.path / part["file"] for part in [reply["answer"]] if part)
        if isinstance(ended, JobCanceled) and entry.again and entry.stop_at is None:
            entry.again = False
            self._waiting.append(entry)
            return
        self._end(entry, JobCanceled(entry.ticket) if entry.stop_at is not None else ended)

    def _check_process(self) -> None:
        if self._process is None:
            return
        status, entry = self._process.status(), self._running
        if status is not None:
            ready = self._process.ready
            self._drop_process()
            code, text = ("no-scratch-space", NO_SPACE) if status == NO_SPACE_STATUS else ("worker-died", DIED)
            if not ready:
                fault = (code, text) if status == NO_SPACE_STATUS else ("worker-not-started", NOT_STARTED)
                self._fail_all(*fault)
            elif entry is not None and entry.stop_at is not None:
                self._fail_running(code, text)
            else:
                self._events.append(WorkerDied(text))
                self._fail_running(code, text)
        elif entry is not None and entry.stop_at is not None and self._clock() >= entry.stop_at:
            self._drop_process()
            self._fail_running("canceled", "")
        elif not self._process.ready and self._clock() - self._started_at > START_S:
            self._drop_process()
            self._fail_all("worker-not-started", NOT_STARTED)

    def _fail_running(self, code: str, message: str) -> None:
        entry, self._running = self._running, None
        if entry is None:
            return
        if entry.again and entry.stop_at is None:
            entry.again = False
            self._waiting.append(entry)
        else:
            stopped = entry.stop_at is not None
            self._end(entry, JobCanceled(entry.ticket) if stopped else JobFailed(entry.ticket, code, message))

    def _fail_all(self, code: str, message: str) -> None:
        self._process = None
        self._fail_running(code, message)
        while self._waiting:
            entry = self._waiting.popleft()
            self._end(entry, JobFailed(entry.ticket, code, message))

    def _end(self, entry: _Entry, event: Event) -> None:
        """Report the end of a job, and remove the files handed over with it."""
        self._events.append(event)
        if self._scratch is None:
            return
        self._litter.update(self._scratch.path / file for file in handed_over(entry.job))
        for path in list(self._litter):
            with suppress(OSError):  # Windows keeps files that the worker has mapped; the next end tries again
                path.unlink(missing_ok=True)
                self._litter.discard(path)

    def _drop_process(self) -> None:
        if self._process is not None:
            self._process.end()
            self._ended.append(self._process)
            self._process = None


_open_clients: weakref.WeakSet[WorkerClient] = weakref.WeakSet()


def _close_at_exit(client: WorkerClient) -> None:
    if not _open_clients:
        atexit.register(_close_all)
    _open_clients.add(client)


def _close_all() -> None:
    for client in list(_open_clients):
        client.close()
