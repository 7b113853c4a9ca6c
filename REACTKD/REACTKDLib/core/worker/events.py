"""The events that `WorkerClient.poll` returns.

Every ticket ends with exactly one of JobDone, JobFailed or JobCanceled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class JobProgress:
    """fraction: 0 to 1. text: a few words."""

    ticket: int
    fraction: float
    text: str


@dataclass(frozen=True, eq=False)
class JobDone:
    """result: of the reply type stated in the job's class."""

    ticket: int
    result: Any


@dataclass(frozen=True)
class JobFailed:
    """code: that of a `ReactkdError`, or worker-died, worker-garbled, worker-not-started. message: one sentence."""

    ticket: int
    code: str
    message: str


@dataclass(frozen=True)
class JobCanceled:
    """The job was stopped; it left nothing behind."""

    ticket: int


@dataclass(frozen=True)
class WorkerDied:
    """The process ended by itself. Open tickets fail after this; the next job starts a new process.

    Open cases are lost: `Regrade`, `WhatIf` and `Draw` fail with case-not-open until one is graded again.
    """

    message: str


Event = JobProgress | JobDone | JobFailed | JobCanceled | WorkerDied
