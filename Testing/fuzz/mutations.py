"""Small corruptions of bytes, text and JSON, each drawn from a seeded random generator."""

from __future__ import annotations

import copy
import json
import re
import struct
from random import Random
from typing import Any

NUMBERS = (
    "-1", "0", "1", "3", "65536", "2147483648", "-2147483649", "99999999999999999999", "1e308", "-1e308", "1e-320",
    "1e-7", "nan", "inf", "-inf", "", "0x10", "1,5", "True", "7 7", "\u0663",
)  # fmt: skip
WORDS = (
    "", " ", "none", "LOCAL", "LIST", "../..", "/", "/dev/null", "%03d", "a" * 3000, "\x00", "\u80bf\u7624", "=1+1",
    "liver w/o tumor", "CON", "raw", "gzip", "bzip2", "float", "block", "MET_OTHER",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 0.5, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "1", "x" * 5000,
    "../..", "\ud800", "\x00", [], {}, [[]], [None], {"": None}, [1, 2, 3], [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
)  # fmt: skip
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FORMS = ("<h", "<i", "<f", ">i", "<d")


def damaged_bytes(data: bytes, rng: Random, start: int = 0, end: int | None = None) -> bytes:
    """Flip bits, overwrite, cut, insert or repeat somewhere in data[start:end]."""
    out, end = bytearray(data), len(data) if end is None else min(end, len(data))
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(start, max(start + 1, min(end, len(out))))
        kind = rng.randrange(6)
        if kind <= 1 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            out[at : at + 4] = rng.randbytes(4)
        elif kind == 3:
            _overwrite(out, at, rng)
        elif kind == 4:
            del out[at : at + rng.choice((1, 4, 100))]
        else:
            out[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
    return bytes(out)


def cut(data: bytes, rng: Random) -> bytes:
    """Truncate the data at a random position."""
    return data[: rng.randrange(len(data))]


def _overwrite(out: bytearray, at: int, rng: Random) -> None:
    form = rng.choice(_FORMS)
    values = (-1, 0, 1, 32767, 2) if form[-1] in "hi" else (-1.0, 0.0, 1e30, float("nan"), float("inf"), 1e-30)
    if at + struct.calcsize(form) <= len(out):
        struct.pack_into(form, out, at, rng.choice(values))


def damaged_text(text: str, rng: Random) -> str:
    """Replace a number or a word, or drop, repeat or swap lines."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        kind = rng.randrange(5)
        numbers = list(_NUMBER.finditer(text))
        if kind <= 1 and numbers:
            found = rng.choice(numbers)
            text = text[: found.start()] + rng.choice(NUMBERS) + text[found.end() :]
            continue
        lines = text.splitlines(keepends=True) or [""]
        n = rng.randrange(len(lines))
        if kind == 2:
            lines.pop(n)
        elif kind == 3:
            lines.insert(rng.randrange(len(lines)), lines[n])
        else:
            words = re.split(r"([ :=,;]+)", lines[n].rstrip("\n"))
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            lines[n] = "".join(words) + "\n"
        text = "".join(lines)
    return text


def damaged_json(value: Any, rng: Random) -> Any:
    """Return a copy of `value` with one or more parts replaced, renamed, dropped or nested."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _damage_one(value, rng)
    return value


def _damage_one(value: Any, rng: Random) -> Any:
    children = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not children or rng.random() < 0.15:
        return _nested(value, rng)
    key = rng.choice(children)
    if isinstance(value[key], dict | list) and rng.random() < 0.75:
        value[key] = _damage_one(value[key], rng)
        return value
    kind = rng.randrange(6)
    if kind == 0:
        del value[key]
    elif kind == 1 and isinstance(value, dict):
        value[rng.choice(("", "x", key.upper(), key + " "))] = value.pop(key)
    elif kind == 2 and isinstance(value, list):
        value.append(value[key])
    else:
        value[key] = _nested(value[key], rng)
    return value


def _nested(value: Any, rng: Random) -> Any:
    if rng.random() < 0.05:
        for _ in range(400):
            value = [value]
        return value
    return copy.deepcopy(rng.choice(VALUES))  # so that later mutations cannot change the shared values


def json_bytes(value: Any, rng: Random) -> bytes:
    """Encode `value` as Python's JSON, with NaN and lone surrogates; sometimes nested far too deep or truncated."""
    text = json.dumps(value)
    if rng.random() < 0.03:
        text = "[" * 100_000 + text
    data = text.encode("utf-8", "surrogatepass")
    return cut(data, rng) if rng.random() < 0.05 else data
