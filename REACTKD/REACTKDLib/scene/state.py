"""What a controller is doing; buttons and texts follow from it."""

from __future__ import annotations

from enum import Enum


class GradingState(str, Enum):
    """IDLE: ready, with or without a result. RUNNING: work is under way. CANCELING: it is being stopped.

    FAILED: ready as well; the last work ended with the sentence in `error`.
    """

    IDLE = "idle"
    RUNNING = "running"
    CANCELING = "canceling"
    FAILED = "failed"
