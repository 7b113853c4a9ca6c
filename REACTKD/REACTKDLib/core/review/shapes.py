"""Validates parts of a review by the shapes of `review.schema.json`, and that they can be written again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

DEEPEST = 20
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_LARGEST = 2**63
Check = Callable[[Any], bool]


def fits(part: str, value: Any) -> bool:
    """Return True if `value` is valid for a part ("answer", "reader", ...) other than null."""
    return is_plain(value) and _object(at=_is_time, **_PARTS[part])(value)


def is_superseded(entry: Any) -> bool:
    """Return True for a valid entry of "superseded"."""
    return is_plain(entry) and _object(part=_is_text, value=lambda value: isinstance(value, dict))(entry)


def is_plain(value: Any, depth: int = DEEPEST) -> bool:
    """Return True for JSON that every program can read: finite numbers of moderate size, limited nesting."""
    if isinstance(value, dict):
        return depth > 0 and all(isinstance(k, str) and is_plain(v, depth - 1) for k, v in value.items())
    if isinstance(value, list):
        return depth > 0 and all(is_plain(entry, depth - 1) for entry in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -_LARGEST <= value < _LARGEST
    return value is None or isinstance(value, str)


def as_plain(value: Any, depth: int = DEEPEST) -> Any:
    """Return `value` as such JSON; what it cannot represent becomes null or text."""
    if isinstance(value, Mapping):
        return {str(k): as_plain(v, depth - 1) for k, v in value.items()} if depth > 0 else None
    if isinstance(value, (list, tuple)):
        return [as_plain(entry, depth - 1) for entry in value] if depth > 0 else None
    if is_plain(value, depth):
        return value
    return None if isinstance(value, (float, int)) else str(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and _AT.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_amount(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _object(**keys: Check) -> Check:
    """Return a check for objects.

    keys: each is required and must pass; those ending with "_" are optional; others are allowed.
    """

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        return all(
            test(value[name.rstrip("_")]) if name.rstrip("_") in value else name.endswith("_")
            for name, test in keys.items()
        )

    return check


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_probabilities(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_share, value.values()))


_FINDING = _object(code=_is_text, severity=lambda value: value in ("info", "warning", "error"), message_=_is_text)
_MODEL = _object(name=_is_text, version=_is_text, sha256=_is_text)
_SHOWN = _object(grade=_or_none(_is_text), probabilities=_or_none(_is_probabilities), model=_MODEL)
_PARTS: dict[str, dict[str, Check]] = {
    "answer": {
        "grade": _or_none(_is_text),
        "probabilities": _or_none(_is_probabilities),
        "uncertain": _is_flag,
        "inputs": _list_of(_is_text),
        "device": _is_text,
        "findings": _list_of(_FINDING),
        "model": _MODEL,
        "lesions_": _is_count,
        "tumor_ml_": _is_amount,
        "outdated": _is_flag,
    },
    "failure": {"code": _is_text, "reason": _is_text},
    "reader": {"grade": _is_text},
    "reviewed": {},
    "masks": {"file": _is_text, "liver_": _list_of(_is_text), "tumor_": _list_of(_is_text)},
    "comment": {"text": _is_text},
    "difficulty": {"level": _is_text},
    "unaided": {"grade": _is_text, "seconds": _is_amount, "place_": _is_count, "seed_": _is_count},
    "aided": {"grade": _is_text, "seconds": _is_amount, "shown_": _SHOWN},
    "spent": {"unaided_": _is_amount, "aided_": _is_amount},
}
