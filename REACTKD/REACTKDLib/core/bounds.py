"""Range checks of numbers from files, made before anything of that size is allocated."""

from __future__ import annotations

import math
from numbers import Real

from REACTKDLib.core.text import shown

LARGEST_SEED = 2**32 - 1


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Raise ValueError that names the field unless `value` is an integer from `least` to `most` (a bool is refused)."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, not {shown(repr(value), 40)}")


def check_number(name: str, value: object, least: float, most: float) -> None:
    """Raise ValueError that names the field unless `value` is a number from `least` to `most` (no NaN, no bool)."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, not {shown(repr(value), 40)}")
