#!/usr/bin/env python3
"""Keeps docs/reference/api.md equal to the docstrings of the public names.

python Testing/tools/api_page.py            report whether it is out of date; exit status 1 if it is
python Testing/tools/api_page.py --write    write it
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "api.md"
PACKAGES = ("REACTKDLib", "REACTKDTrainLib")
HEAD = """# Public API

The public API consists of the names that the two packages export. It follows
[semantic versioning](https://semver.org), and [CHANGELOG.md](../../CHANGELOG.md) lists every change. Everything else
may change without notice. This page is generated from the docstrings by `make lists`.
"""


def signatures() -> dict[str, str]:
    """Return public name, 'package.name' or 'package.Class.method' -> its signature as text."""
    return {name: signature for name, signature, _doc, _kind in entries()}


def entries() -> Iterator[tuple[str, str, str, str]]:
    """Yield (name, signature, docstring, kind) for every public name, and for the public methods of classes."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            yield f"{package}.{name}", signature_of(value), inspect.getdoc(value) or "", _kind(value)
            if inspect.isclass(value) and not issubclass(value, Enum | Exception):
                yield from _members(f"{package}.{name}", value)


def signature_of(value: Any) -> str:
    """Return parameters and return type, without the modules of the types."""
    if inspect.isclass(value) and issubclass(value, Enum):
        return " | ".join(f"{member.name} = {member.value!r}" for member in value)
    if isinstance(value, property):
        return _type(inspect.signature(value.fget).return_annotation)
    signature = inspect.signature(value)
    shown = [p for name, p in signature.parameters.items() if name not in ("self", "cls")]
    text = str(signature.replace(parameters=shown))
    text = re.sub(r"<factory>|<object object at [^>]*>", "...", text)
    text = re.sub(r"<function (\w+) at [^>]*>", r"\1", text)
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text).removesuffix(" -> None")


def _type(annotation: Any) -> str:
    return "" if annotation is inspect.Signature.empty else str(annotation).replace("'", "")


def _kind(value: Any) -> str:
    return "class" if inspect.isclass(value) else "function"


def _members(prefix: str, value: type) -> Iterator[tuple[str, str, str, str]]:
    fields = {field.name for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    for name, member in vars(value).items():
        if name.startswith("_") or name in fields:
            continue
        kind = "property" if isinstance(member, property) else "method"
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if kind == "property" or inspect.isfunction(plain):
            yield f"{prefix}.{name}", signature_of(plain), inspect.getdoc(plain) or "", kind


def page() -> str:
    """Return the whole page."""
    lines, package = [HEAD], ""
    for name, signature, doc, kind in entries():
        if not name.startswith(f"{package}."):
            package = name.partition(".")[0]
            about = (importlib.import_module(package).__doc__ or "").partition("\n")[0]
            lines += [f"## {package}", "", about, ""]
        short = name.removeprefix(f"{package}.")
        lines += [f"{'###' if kind in ('class', 'function') else '####'} `{short}`", ""]
        code = f"{short}{signature}" if signature.startswith("(") else f"{short}: {signature}"
        lines += ["```python", *_folded(code), "```", "", *_text(doc), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _folded(code: str) -> list[str]:
    """Wrap a signature that is too long for one line, with one line per parameter."""
    if len(code) <= 100 or "(" not in code:
        return [code]
    head, _, rest = code.partition("(")
    depth, parts, current = 0, [], ""
    for n, character in enumerate(rest):
        if character == ")" and depth == 0:
            return [f"{head}(", *(f"    {part.strip()}," for part in [*parts, current] if part.strip()), rest[n:]]
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts, current = [*parts, current], ""
        else:
            current += character
    return [code]


def _text(doc: str) -> list[str]:
    """Convert a docstring to Markdown; text that is indented or starts with >>> is kept verbatim."""
    out, fenced = [], False
    for line in doc.splitlines():
        code = line.startswith((" ", ">>>", "('", "[", "{")) if line.strip() else fenced
        if code != fenced:
            out += ["", "```text"] if code else ["```", ""]
            fenced = code
        begins = not fenced and re.match(r"(Args|Returns|Raises|Example):", line)
        out += ["", line] if begins else [line]  # what follows may be the rest of its sentence
    return [*out, "```"] if fenced else out


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    text = page()
    if PAGE.is_file() and text == PAGE.read_text(encoding="utf-8"):
        return 0
    if arguments == ["--write"]:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
        return 0
    print(f"{PAGE.name} is behind the docstrings; run `make lists`.")
    return 1


if __name__ == "__main__":
    sys.path[:0] = [str(REPOSITORY / "REACTKD"), str(REPOSITORY / "REACTKDTrain")]
    sys.exit(main(sys.argv[1:]))
