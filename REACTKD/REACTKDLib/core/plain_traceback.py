"""Tracebacks that show where the program failed but contain none of its data.

Messages of exceptions quote data: paths, names of patients, nodes and cases. Values of the frames' variables, paths,
and quoted text that does not occur in the program itself are therefore removed from them.
"""

from __future__ import annotations

import linecache
import os
import re
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from types import CodeType, FrameType, ModuleType

LONGEST_MESSAGE = 300
DEEPEST, MOST_FRAMES = 5, 60  # chained exceptions, and frames
_MOST_TEXTS = 5000
_QUOTED = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")
_PATH = re.compile(r"(?:[A-Za-z]:)?[^\s'\"=(,]*[\\/][^'\"\n]*?(?=$|[\n'\"]|:\s|,\s|\)|\s\()")
_HIDDEN = "..."
_PACKAGES = re.compile(r"^.*?[\\/](?=(?:REACTKDLib|REACTKDTrainLib|REACTKDTrain\.py|REACTKD\.py))")


def plain_traceback(error: BaseException) -> str:
    """Return the traceback of an exception and its causes, innermost cause first, without any data."""
    parts: list[str] = []
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen and len(parts) < DEEPEST:
        seen.add(id(now))
        parts.append(_one(now))
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
    return "\nwhich led to\n".join(reversed(parts))


def _one(error: BaseException) -> str:
    calls = list(traceback.walk_tb(error.__traceback__))
    lines = [line for frame, number in calls[-MOST_FRAMES:] for line in _place(frame, number)]
    message = without_data(_message(error), (frame for frame, _number in calls))
    return "\n".join([*lines, f"{type(error).__name__}: {message}"])


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception of a library whose own `__str__` fails
        return ""


def _place(frame: FrameType, number: int) -> Iterator[str]:
    """Yield the location, and the line of source, which is program text and contains no data."""
    code = frame.f_code
    yield f"  {_file(code.co_filename)}:{number} in {code.co_name}"
    line = linecache.getline(code.co_filename, number, frame.f_globals).strip()
    if line:
        yield f"    {line}"


def _file(name: str) -> str:
    """Return the path within its package: from the library's folder on for our files, otherwise the last two parts."""
    ours = _PACKAGES.sub("", name)
    return (ours if ours != name else "/".join(PurePath(name).parts[-2:])).replace("\\", "/")


def without_data(message: str, frames: Iterable[FrameType] = ()) -> str:
    """Return the message of an exception without the values of the frames' variables, paths and quoted data."""
    frames = list(frames)
    written = _written(frame.f_code for frame in frames)
    for text in sorted(_texts(frames), key=len, reverse=True):
        if len(text) > 1 and text in message and text not in written:
            message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", _HIDDEN, message)
    message = _QUOTED.sub(lambda m: m.group(0) if m.group(0)[1:-1] in written else f"'{_HIDDEN}'", message)
    message = " ".join(_PATH.sub(_HIDDEN, message).split())
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."


def _written(codes: Iterable[CodeType]) -> set[str]:
    """Return the names and constants in the program's own text, which reveal nothing of the data."""
    found: set[str] = {""}
    for code in codes:
        found.update(code.co_names, code.co_varnames)
        stack = list(code.co_consts)
        while stack:
            value = stack.pop()
            if isinstance(value, str):
                found.add(value)
            elif isinstance(value, (tuple, frozenset)):
                stack.extend(value)
    return found


def _texts(frames: Iterable[FrameType]) -> set[str]:
    """Return strings and path names in the variables of the frames, three levels deep."""
    found: set[str] = set()
    for frame in frames:
        for value in list(frame.f_locals.values()):
            _collect(value, found, 3)
    return found


def _collect(value: object, found: set[str], depth: int) -> None:
    if len(found) > _MOST_TEXTS or depth < 0:
        return
    if isinstance(value, bytes):
        value = value[:1000].decode("utf-8", "replace")
    if isinstance(value, str):
        found.add(value[:1000])
        if os.sep in value or "/" in value:
            found.update(part for part in Path(value[:1000]).parts if len(part) > 2)
    elif isinstance(value, PurePath):
        found.update((str(value), *(part for part in value.parts if len(part) > 2)))
    elif isinstance(value, dict):
        for key, inner in list(value.items())[:200]:
            _collect(key, found, depth - 1)
            _collect(inner, found, depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in list(value)[:200]:
            _collect(inner, found, depth - 1)
    elif isinstance(getattr(value, "__dict__", None), dict) and not isinstance(value, (type, ModuleType)):
        for inner in list(vars(value).values())[:50]:
            _collect(inner, found, depth - 1)
