"""One worker for several askers: each hears of its own jobs, whoever polls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.events import Event, Progress, WorkerDied
from REACTKDLib.core.worker.jobs import Job

Ended = Callable[[Event], Any]
Heard = Callable[[float, str], Any]


@dataclass
class _Asker:
    on_end: Ended
    on_progress: Heard | None


class Mail:
    """Hands the events of a `WorkerClient` to those who submitted the jobs. client: made when not given."""

    def __init__(self, client: WorkerClient | None = None) -> None:
        self.client = client or WorkerClient()
        self._askers: dict[int, _Asker] = {}

    @property
    def waiting(self) -> bool:
        """True while any job has not ended."""
        return bool(self._askers)

    def submit(self, job: Job, on_end: Ended, on_progress: Heard | None = None, background: bool = False) -> int:
        """Submit a job. on_end is called once, in a later `poll`, with Done, Failed or Canceled; returns the ticket."""
        ticket = self.client.submit(job, background)
        self._askers[ticket] = _Asker(on_end, on_progress)
        return ticket

    def cancel(self, ticket: int) -> None:
        """Stop a job; it ends with Canceled within a second."""
        self.client.cancel(ticket)

    def poll(self) -> None:
        """Hand out what has happened; call it from a timer."""
        for event in self.client.poll():
            if isinstance(event, WorkerDied):
                continue  # whoever waits for a job hears that it failed
            if isinstance(event, Progress):
                asker = self._askers.get(event.ticket)
                if asker is not None and asker.on_progress is not None:
                    asker.on_progress(event.fraction, event.text)
                continue
            asker = self._askers.pop(event.ticket, None)
            if asker is not None:
                asker.on_end(event)

    def close(self) -> None:
        """End the worker; nobody hears of jobs that were open."""
        self._askers.clear()
        self.client.close()
