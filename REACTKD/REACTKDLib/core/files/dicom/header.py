"""Access to DICOM header values that may be missing, empty or invalid: returns the value or None, and never raises."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

_TIME = re.compile(r"(\d{2}):?(?:(\d{2}):?(?:(\d{2})(?:[.,](\d{1,6})\d*)?)?)?$")
_DATE = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})$")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})$")
DAY_S = 86400.0


def raw(dataset: Any, keyword: str) -> Any:
    """Return the value of an element, or None if it is missing, empty or cannot be decoded."""
    try:
        value = dataset.get(keyword)
        if value is None or (isinstance(value, str | bytes) and not value.strip()):
            return None
        return value
    except Exception:  # pydicom may raise anything for damaged bytes
        return None


def text(dataset: Any, keyword: str) -> str:
    """Return a text on one line, "" if there is none; the first of several values."""
    value = raw(dataset, keyword)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if len(value) else None
    return "" if value is None else " ".join(str(value).replace("\0", " ").split())


def words(dataset: Any, keyword: str) -> tuple[str, ...]:
    """Return all values of a text element, in capitals."""
    value = raw(dataset, keyword)
    if value is None:
        return ()
    values = [value] if isinstance(value, str | bytes) or not isinstance(value, Sequence) else value
    return tuple(str(v).strip().upper() for v in values if str(v).strip())


def number(dataset: Any, keyword: str) -> float | None:
    """Return a finite number, or None."""
    return finite(raw(dataset, keyword))


def finite(value: Any) -> float | None:
    """Return `value`, or the first of several values, as a finite float, else None."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if len(value) else None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return exactly `count` finite numbers, or None."""
    value = raw(dataset, keyword)
    if value is None or isinstance(value, str | bytes) or not isinstance(value, Sequence) or len(value) != count:
        return None
    found = tuple(finite(v) for v in value)
    return None if any(v is None for v in found) else found


def items(dataset: Any, keyword: str) -> tuple[Any, ...]:
    """Return the items of a sequence; none if it is missing or not a sequence."""
    value = raw(dataset, keyword)
    try:
        return tuple(item for item in value if hasattr(item, "get")) if value is not None else ()
    except TypeError:
        return ()


def code_of(dataset: Any, keyword: str) -> tuple[str, str, str]:
    """Return (scheme, value, meaning) of the first item of a code sequence, empty if there is none."""
    for item in items(dataset, keyword):
        return text(item, "CodingSchemeDesignator"), text(item, "CodeValue"), text(item, "CodeMeaning")
    return "", "", ""


def seconds_of_time(value: Any) -> float | None:
    """Return a DICOM time (HHMMSS.FFFFFF, shorter forms and HH:MM:SS) as seconds since midnight, or None."""
    match = _TIME.match(str(value).strip()) if value is not None else None
    if match is None:
        return None
    hours, minutes, whole = (int(part or 0) for part in match.groups()[:3])
    if hours > 23 or minutes > 59 or whole > 60:
        return None
    return hours * 3600 + minutes * 60 + whole + float("0." + (match.group(4) or "0"))


def day_of_date(value: Any) -> int | None:
    """Return a DICOM date as a day number, or None."""
    match = _DATE.match(str(value).strip()) if value is not None else None
    try:
        return date(*(int(part) for part in match.groups())).toordinal() if match else None
    except ValueError:
        return None


def seconds_of_datetime(value: Any) -> float | None:
    """Return the local date-time of a DICOM date-time in seconds; its offset from UTC is ignored.

    None if invalid, and for a date alone, which de-identification leaves and which does not mean midnight.
    """
    stamp = re.sub(r"[+-]\d{4}$", "", str(value).strip()) if value is not None else ""
    day, time = day_of_date(stamp[:8]), seconds_of_time(stamp[8:])
    return None if day is None or time is None else day * DAY_S + time


def offset_of_datetime(value: Any) -> float | None:
    """Return the offset from UTC, in s, at the end of a DICOM date-time (+0100), or of a TimezoneOffsetFromUTC."""
    match = _OFFSET.search(str(value).strip()) if value is not None else None
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    seconds = int(hours) * 3600 + int(minutes) * 60
    return None if seconds > 14 * 3600 or int(minutes) > 59 else (-seconds if sign == "-" else seconds)


def moment(dataset: Any, date_keyword: str, time_keyword: str) -> float | None:
    """Return a date and a time as seconds, or None if either is missing."""
    day, time = day_of_date(raw(dataset, date_keyword)), seconds_of_time(raw(dataset, time_keyword))
    return None if day is None or time is None else day * DAY_S + time
