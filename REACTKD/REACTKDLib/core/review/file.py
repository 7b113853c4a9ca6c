"""Reading and writing of the review file. From a damaged file, everything readable is recovered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.review.record import CaseReview

SCHEMA = "reactkd-review/1"
FAMILY = "reactkd-review/"
_HIGHEST = 2**53  # other programs read JSON numbers as doubles
_STATED = re.compile(r'"schema"\s*:\s*"(reactkd-review/[^"\\]{1,20})"')


@dataclass(frozen=True)
class ReviewFile:
    """The content of a file. whole: nothing was left out. newer: it has a later version, and nothing was read."""

    revision: int = 0
    writer: str = ""
    cases: Mapping[str, CaseReview] = field(default_factory=dict)
    whole: bool = False
    newer: bool = False


def read_review(data: bytes) -> ReviewFile:
    """Return the usable content of a review file: every part of every case that fits the schema. Raises nothing."""
    try:
        twice: list[str] = []
        content = parse_json(data, object_pairs_hook=lambda pairs: _object(pairs, twice))
        return _from_object(content, not twice)
    except (ValueError, RecursionError, MemoryError):
        return _line_by_line(data.decode("utf-8", "surrogateescape"))


def review_text(
    revision: int, writer: str, cases: Mapping[str, CaseReview], known: dict[str, tuple[CaseReview, str]] | None = None
) -> str:
    """Return the file's text, with one line per case: readable, and faster than indented text for a thousand cases.

    A damaged line does not affect the others. known: lines of earlier calls, reused for unchanged records and updated.
    """
    head = ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in (("revision", revision), ("writer", writer)))
    known = {} if known is None else known
    for name, record in cases.items():
        if name not in known or known[name][0] is not record:
            known[name] = record, _line(name, record)
    lines = (known[name][1] for name in cases)
    return f'{{"schema": "{SCHEMA}", {head}, "cases": {{\n' + ",\n".join(lines) + "\n}}\n"


def _line(name: str, record: CaseReview) -> str:
    content = record.to_dict()
    text = f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(content, ensure_ascii=False, allow_nan=False)}"
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which must be escaped
        return f"{json.dumps(name)}: {json.dumps(content, allow_nan=False)}"
    return text


def _object(pairs: list[tuple[str, Any]], twice: list[str]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice.append(pairs[0][0])
    return content


def _from_object(content: Any, whole: bool) -> ReviewFile:
    if not isinstance(content, dict):
        return ReviewFile()
    schema = content.get("schema")
    if schema != SCHEMA:
        return ReviewFile(newer=isinstance(schema, str) and schema.startswith(FAMILY))
    cases: dict[str, CaseReview] = {}
    listed = content.get("cases")
    for name, entry in (listed if isinstance(listed, dict) else {}).items():
        record, complete = CaseReview.read(entry)
        whole = whole and complete
        if complete or record != CaseReview():  # an empty record means that its last mark was removed
            cases[name] = record
    revision, writer = content.get("revision"), content.get("writer")
    numbered = isinstance(revision, int) and not isinstance(revision, bool) and 0 <= revision < _HIGHEST
    signed = isinstance(writer, str) and len(writer) < 100
    whole = whole and numbered and signed and isinstance(listed, dict)
    return ReviewFile(revision if numbered else 0, writer if signed else "unknown", cases, whole)


def _line_by_line(text: str) -> ReviewFile:
    """Return the cases whose lines are readable, of a file that cannot be parsed as a whole."""
    stated = _STATED.search(text[:1000])
    if stated is None:
        return ReviewFile()
    if stated[1] != SCHEMA:
        return ReviewFile(newer=True)
    cases: dict[str, CaseReview] = {}
    for line in text.split("\n"):
        if not line.startswith('"') or re.search("[\udc80-\udcff]", line):
            continue
        try:
            content = parse_json("{" + line.rstrip("\r, ") + "}")
        except (ValueError, RecursionError, MemoryError):
            continue
        for name, entry in content.items():
            record, complete = CaseReview.read(entry)
            if complete or record != CaseReview():
                cases[name] = record
    return ReviewFile(0, "unknown", cases)
