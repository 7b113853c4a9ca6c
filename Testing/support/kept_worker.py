"""One grading process for a whole test run: it starts once and keeps running when a panel closes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from REACTKDLib.core.worker.client import WorkerClient


class KeptWorker:
    """A `WorkerClient` whose `close` only cancels the pending jobs. options: of the client."""

    def __init__(self, **options: Any) -> None:
        self._client = WorkerClient(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def close(self) -> None:
        """Cancel the pending jobs; the process is kept for the next panel."""
        self._client.cancel()

    @contextmanager
    def answers_unread(self) -> Iterator[list[Any]]:
        """Leave answers unread while the block runs, and give the list of them; progress is read.

        For tests of what a user does while a job runs: a small case may be graded before the next click.
        """
        take, unread = self._client._take, []

        def take_progress(reply: Any) -> None:
            if reply["event"] in ("done", "failed"):
                unread.append(reply)
            else:
                take(reply)

        self._client._take = take_progress
        try:
            yield unread
        finally:
            self._client._take = take
            for reply in unread:
                take(reply)

    @property
    def idle(self) -> bool:
        """True without any job, also in the background."""
        return not self._client._entries()

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Hold the process while the block runs, so that it answers nothing, and kill it at the end.

        A small case may be graded between a click and the kill that is to prevent its answer. The process must be
        `idle` before: a job that waits for another one is done by the next process.
        """
        group = self._client.process_id
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGKILL)

    def end(self) -> None:
        """End the process."""
        self._client.close()
