"""One grading process for a whole run of tests: it starts once, and every panel that closes leaves it running."""

from __future__ import annotations

from typing import Any

from REACTKDLib.core.worker.client import WorkerClient


class KeptWorker:
    """A `WorkerClient` that `close` only quiets. options: of the client."""

    def __init__(self, **options: Any) -> None:
        self._client = WorkerClient(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def close(self) -> None:
        """Stop what is asked for; the process stays for the next panel."""
        self._client.cancel()

    def end(self) -> None:
        """End the process."""
        self._client.close()
