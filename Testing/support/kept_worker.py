"""One grading process for a whole test run: it starts once and keeps running when a panel closes."""

from __future__ import annotations

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

    def end(self) -> None:
        """End the process."""
        self._client.close()
