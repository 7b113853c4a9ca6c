"""How long work says how far it is, and how it is stopped: the two callbacks that every long function takes."""

from __future__ import annotations

from collections.abc import Callable

#: on_progress(fraction, text): 0 to 1 of the work is done; what is done next, in a few words
OnProgress = Callable[[float, str], None]
#: is_canceled(): asked between steps; True stops the work with `Canceled`
IsCanceled = Callable[[], bool]


def no_progress(fraction: float, text: str) -> None:
    """Show nothing."""


def never_canceled() -> bool:
    """Go on."""
    return False
