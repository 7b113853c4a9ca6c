#!/usr/bin/env python3
"""Keeps the tables of keys in docs/reference/formats equal to the JSON schemas of tasks, reports and reviews.

python Testing/tools/format_pages.py            report pages that are out of date; exit status 1 if there are any
python Testing/tools/format_pages.py --write    write them
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / "docs" / "reference" / "formats"
CORE = REPOSITORY / "REACTKD" / "REACTKDLib" / "core"
#: page -> schema
SCHEMAS = {
    "task.md": CORE / "task.schema.json",
    "report.md": CORE / "reports" / "report.schema.json",
    "review.md": CORE / "review" / "review.schema.json",
}
_BLOCK = re.compile(r"(<!-- keys: made from the schema by make lists -->\n\n).*?(\n?<!-- end of keys -->)", re.DOTALL)


class Key(NamedTuple):
    """One key. place: 'regions[].name' for an item of a list, 'cases.*' for any name."""

    place: str
    kind: str
    required: bool
    meaning: str


def keys(schema: Mapping[str, Any]) -> list[Key]:
    """Return every key of a schema, top down; a part that is used in several places is written out at the first."""
    return list(_keys(schema, schema, "", set()))


def _keys(node: Mapping[str, Any], root: Mapping[str, Any], place: str, seen: set[str]) -> Iterator[Key]:
    for name, part in node.get("properties", {}).items():
        yield from _key(part, root, f"{place}.{name}".lstrip("."), name in node.get("required", ()), seen)
    others = node.get("additionalProperties")
    if isinstance(others, Mapping) and "properties" not in node:
        yield from _inside(others, root, f"{place}.*", seen)


def _key(part: Mapping[str, Any], root: Mapping[str, Any], place: str, needed: bool, seen: set[str]) -> Iterator[Key]:
    whole = _resolved(part, root)
    yield Key(place, _kind(part, root), needed, part.get("description") or whole.get("description", ""))
    yield from _inside(part, root, place, seen)


def _inside(part: Mapping[str, Any], root: Mapping[str, Any], place: str, seen: set[str]) -> Iterator[Key]:
    """Yield the keys nested in a key."""
    name = _name(part)
    if name in seen:
        return
    whole = _resolved(part, root)
    if name and ("properties" in whole or isinstance(whole.get("additionalProperties"), Mapping)):
        seen.add(name)
    if "items" in whole and isinstance(whole["items"], Mapping):
        yield from _inside(whole["items"], root, f"{place}[]", seen)
    yield from _keys(whole, root, place, seen)


def _name(part: Mapping[str, Any]) -> str:
    found = [part, *part.get("anyOf", ())]
    return next((entry["$ref"] for entry in found if "$ref" in entry), "")


def _resolved(part: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Resolve a reference, and a choice that includes null to its most specific form."""
    if "$ref" in part:
        value: Any = root
        for step in part["$ref"].removeprefix("#/").split("/"):
            value = value[step]
        return _resolved(value, root)
    forms = [_resolved(form, root) for form in part.get("anyOf", ()) if form.get("type") != "null"]
    return max(forms, key=lambda form: len(form.get("properties", ())), default=part)


def _kind(part: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """Return type and range in words."""
    if "anyOf" in part:
        return " or ".join(_kind(form, root) for form in part["anyOf"])
    whole = _resolved(part, root)
    if "const" in whole or "enum" in whole:
        return " or ".join(f"`{json.dumps(v)}`" for v in whole.get("enum", [whole.get("const")]))
    if "prefixItems" in whole:
        return f"[{', '.join(_kind(item, root) for item in whole['prefixItems'])}]"
    types = whole.get("type", "object")
    first, *others = types if isinstance(types, list) else [types]
    words = {"integer": "whole number", "string": "text", "boolean": "true or false"}
    text = words.get(first, first)
    if first == "array":
        count = (
            f"{whole['minItems']} of " if whole.get("minItems") == whole.get("maxItems") and "minItems" in whole else ""
        )
        text = f"list of {count}{_kind(whole.get('items', {}), root)}"
    ends = [f"at least {whole['minimum']:g}"] if "minimum" in whole else []
    ends += [f"at most {whole['maximum']:g}"] if "maximum" in whole else []
    return " or ".join([f"{text}, {', '.join(ends)}" if ends else text, *others])


def table(schema: Mapping[str, Any]) -> str:
    """Return the table of a page."""
    rows = [f"| `{k.place}` | {k.kind} | {'yes' if k.required else ''} | {k.meaning} |" for k in keys(schema)]
    return "\n".join(["| key | type | required | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


def brought_up_to_date(name: str, text: str) -> str:
    """Return the page with the current keys."""
    made = table(json.loads(SCHEMAS[name].read_text(encoding="utf-8")))
    return _BLOCK.sub(lambda found: f"{found[1]}{made}\n{found[2].strip()}", text)


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    behind = []
    for name in SCHEMAS:
        text = (PAGES / name).read_text(encoding="utf-8")
        fresh = brought_up_to_date(name, text)
        if fresh != text and arguments == ["--write"]:
            (PAGES / name).write_text(fresh, encoding="utf-8")
        elif fresh != text:
            behind.append(f"{name} is behind its schema; run `make lists`.")
    print("\n".join(behind), end="\n" * bool(behind))
    return bool(behind)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
