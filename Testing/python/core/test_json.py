"""Damaged JSON of every reader is a ValueError, which each of them words; no other error escapes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from REACTKDLib.core.json_once import DuplicateKey, parse_json, parse_once
from REACTKDLib.core.reports.report import GradeReport

LIBRARIES = Path(__file__).resolve().parents[3]
DEEP = ("[" * 200_000, '{"a":' * 200_000, "[" * 200_000 + "]" * 200_000)
#: values that the same process has written in the same call
OWN = {"core/text.py", "core/json_once.py"}


@pytest.mark.parametrize("text", DEEP)
@pytest.mark.parametrize("parse", [parse_json, parse_once, lambda text: parse_json(text.encode())])
def test_values_nested_too_deeply_are_no_json(parse, text):
    with pytest.raises(ValueError, match="nested too deeply"):
        parse(text)


def test_hooks_and_duplicate_keys():
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}
    assert parse_json('{"a": 1}', object_pairs_hook=list) == [("a", 1)]
    with pytest.raises(DuplicateKey):
        parse_once('{"a": 1, "a": 2}')
    with pytest.raises(json.JSONDecodeError):
        parse_json("{")


def test_a_report_with_such_values_is_refused(tmp_path):
    (tmp_path / "a.json").write_text(DEEP[0])
    with pytest.raises(ValueError, match="nested"):
        GradeReport.read_json(tmp_path / "a.json")


def test_no_reader_parses_json_by_itself():
    sources = [p for name in ("REACTKD/REACTKDLib", "REACTKDTrain") for p in (LIBRARIES / name).rglob("*.py")]
    alone = [p for p in sources if re.search(r"(?<!`)\bjson\.loads?\(", p.read_text(encoding="utf-8"))]
    assert {p.relative_to(LIBRARIES / "REACTKD/REACTKDLib").as_posix() for p in alone} == OWN
