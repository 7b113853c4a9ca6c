"""One grading process for a whole test run: it starts once and keeps running when a panel closes."""

from __future__ import annotations

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

    def end(self) -> None:
        """End the process."""
        self._client.close()
