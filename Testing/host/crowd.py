"""How busy the computer is, so that waits of tests can grow with it."""

from __future__ import annotations

import os


def crowd() -> float:
    """Return the load of the computer relative to its cores, at least 1."""
    return max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0) if hasattr(os, "getloadavg") else 1.0
