"""Shares one worker among several callers: each is called back for its own jobs, whoever polls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from REACTKDLib.core.progress import OnProgress
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.events import Event, JobProgress, WorkerDied
from REACTKDLib.core.worker.jobs import Job

OnEnd = Callable[[Event], Any]


@dataclass
class _Callbacks:
    on_end: OnEnd
    on_progress: OnProgress | None


class JobDispatcher:
    """Passes the events of a `WorkerClient` to the submitters of the jobs. client: created by default."""

    def __init__(self, client: WorkerClient | None = None) -> None:
        self.client = client or WorkerClient()
        self._callbacks: dict[int, _Callbacks] = {}

    @property
    def waiting(self) -> bool:
        """True while any job is open."""
        return bool(self._callbacks)

    def submit(self, job: Job, on_end: OnEnd, on_progress: OnProgress | None = None, background: bool = False) -> int:
        """Submit a job. on_end is called once, in a later `poll`, with Done, Failed or Canceled; returns the ticket."""
        ticket = self.client.submit(job, background)
        self._callbacks[ticket] = _Callbacks(on_end, on_progress)
        return ticket

    def cancel(self, ticket: int) -> None:
        """Stop a job; it ends with Canceled within a second."""
        self.client.cancel(ticket)

    def settle(self, ticket: int, patience_s: float) -> None:
        """Wait until a job has ended, as `WorkerClient.settle` does, and call back for all new events."""
        self.client.settle(ticket, patience_s)
        self.poll()

    def poll(self) -> None:
        """Call back for new events; call it from a timer."""
        for event in self.client.poll():
            if isinstance(event, WorkerDied):
                continue  # each open job ends with JobFailed
            if isinstance(event, JobProgress):
                callbacks = self._callbacks.get(event.ticket)
                if callbacks is not None and callbacks.on_progress is not None:
                    callbacks.on_progress(event.fraction, event.text)
                continue
            callbacks = self._callbacks.pop(event.ticket, None)
            if callbacks is not None:
                callbacks.on_end(event)

    def close(self) -> None:
        """End the worker; open jobs are not called back."""
        self._callbacks.clear()
        self.client.close()
