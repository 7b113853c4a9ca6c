#!/usr/bin/env python3
"""Keeps docs/reference/errors.md equal to the code: one entry for each error code, with the messages that it has.

Meaning, cause and remedy of a code are written by hand; the messages, lines that begin with '>', are generated from the
sources.

python Testing/tools/error_page.py            report differences; exit status 1 if there are any
python Testing/tools/error_page.py --write    write the messages
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "errors.md"
ROOTS = (REPOSITORY / "REACTKD", REPOSITORY / "REACTKDTrain")
#: call -> the arguments that are its code and its message
CALLS = {"Finding": (0, 2), "Problem": (1, 2), "WorkerFault": (0, 1), "_fail_running": (0, 1), "_fail_all": (0, 1)}
#: places where a case fails with a code and a message that are not one of our errors: a pair, or a row of a table
PAIRS = ("client.py", "server.py", "batch_case.py")
SECTIONS = {"error": "## Errors", "Finding": "## Findings", "Problem": "## Problems of a cohort"}
#: raised in well over a hundred places, each with its own message
WITHOUT_SENTENCES = {"usage"}
ENTRY = re.compile(r"^### `([\w-]+)`$", re.MULTILINE)
PARTS = ("Means", "Cause", "Remedy")
_CLASS = re.compile(r"^class (\w+)\((.+)\):\n((?:(?: .*)?\n)*)", re.MULTILINE)
_CODE = re.compile(r"[a-z]+(-[a-z]+)*")


@cache
def texts() -> dict[Path, str]:
    """Return file -> its text, for both modules."""
    paths = [path for root in ROOTS for path in sorted(root.rglob("*.py"))]
    return {path: path.read_text(encoding="utf-8") for path in paths}


@cache
def error_classes() -> dict[str, str]:
    """Return name -> code of every subclass of ReactkdError; without its own code, that of its base class."""
    classes = [found.groups() for text in texts().values() for found in _CLASS.finditer(text)]
    codes = {"ReactkdError": "error"}
    count = 0
    while len(codes) > count:
        count = len(codes)
        for name, bases, body in classes:
            base = next((codes[b] for b in re.findall(r"\w+", bases) if b in codes), None)
            own = re.search(r'^    code(?:: .+)? = "(.+)"$', body, re.MULTILINE)
            codes |= {name: own[1] if own else base} if base else {}
    return codes


@cache
def codes() -> dict[str, dict[str, list[str]]]:
    """Return kind ('error', 'Finding' or 'Problem') -> code -> its messages, in the order of their files."""
    classes = error_classes()
    out: dict[str, dict[str, list[str]]] = {kind: {} for kind in SECTIONS}
    out["error"] = {code: [] for code in sorted(set(classes.values()))}
    for file in _files(tuple({*classes, *CALLS})):
        for scope, node in file.found:
            name = _last(node.func) if isinstance(node, ast.Call) else ""
            if name in classes and name not in CALLS:
                kind, found, sentence = "error", [classes[name]], node.args[0] if node.args else None
            else:
                kind = name if name in SECTIONS else "error"
                parts = [node.args[n] for n in CALLS[name]] if name else _pair(node)
                found, sentence = list(_texts(parts[0], scope, file, node.lineno)), parts[1]
            said = [] if sentence is None else list(_texts(sentence, scope, file, node.lineno))
            for code in filter(_CODE.fullmatch, found):
                known = out[kind].setdefault(code, [])
                known += [text for text in dict.fromkeys(said) if text not in known and code not in WITHOUT_SENTENCES]
    if not out["error"][classes["ReactkdError"]]:
        del out["error"][classes["ReactkdError"]]  # only its subclasses are raised
    return out


class _File:
    """One source file. found: nodes that may state a code, with their innermost function, in order."""

    def __init__(self, path: Path, names: Collection[str]) -> None:
        self.tree = ast.parse(texts()[path])
        self.found: list[tuple[ast.AST, ast.expr]] = []
        self._walk(self.tree, self.tree, names, path.name in PAIRS)
        self.found.sort(key=lambda found: (found[1].lineno, found[1].col_offset))

    def _walk(self, node: ast.AST, scope: ast.AST, names: Collection[str], pairs: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call) and (name := _last(child.func)) in names:
                if name not in CALLS or len(child.args) > max(CALLS[name]):
                    self.found.append((scope, child))
            elif pairs and _pair(child):
                self.found.append((scope, child))
            self._walk(child, child if isinstance(child, ast.FunctionDef) else scope, names, pairs)


@cache
def _files(names: tuple[str, ...]) -> list[_File]:
    wanted = re.compile(rf"\b({'|'.join(names)})\(")
    return [
        _File(path, names)
        for path, text in texts().items()
        if path.name in PAIRS or any(not match[0].startswith("class ") for match in wanted.finditer(text))
    ]


@cache
def _function(name: str) -> tuple[_File, ast.FunctionDef] | None:
    """Return the only function of a file with this name that returns a text; None if there are several, or none."""
    start = re.compile(rf"^def {name}\([^:]*(:[^:]*)*\) -> str:$", re.MULTILINE)
    places = [path for path, text in texts().items() if f"\ndef {name}(" in text and start.search(text)]
    if len(places) != 1:
        return None
    file = _File(places[0], ())
    nodes = [node for node in file.tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return (file, nodes[0]) if nodes else None


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _pair(node: ast.AST) -> list[ast.expr]:
    """Return a code and its message, from a pair that begins with a code or a row with both; otherwise nothing."""
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[0], ast.Constant):
        return node.elts if _CODE.fullmatch(str(node.elts[0].value)) else []
    if isinstance(node, ast.Dict):
        row = {key.value: value for key, value in zip(node.keys, node.values) if isinstance(key, ast.Constant)}
        return [row["error"], row["reason"]] if {"error", "reason"} <= row.keys() else []
    return []


def _texts(node: ast.expr, scope: ast.AST, file: _File, line: int) -> Iterator[str]:
    """Yield the possible texts of an expression; none if it is computed elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else _place(part) for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, scope, file, line)
        yield from _texts(node.orelse, scope, file, line)
    elif isinstance(node, ast.Call) and _last(node.func) in ("_", "tr", "sentence") and node.args:
        yield from _texts(node.args[0], scope, file, line)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        yield from _texts(node.func.value, scope, file, line)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _function(node.func.id):
        where, function = _function(node.func.id)
        for found in ast.walk(function):
            if isinstance(found, ast.Return) and found.value is not None:
                yield from _texts(found.value, function, where, found.lineno)
    elif isinstance(node, ast.Attribute) and _last(node.value) == "self":
        for value in _attributes(node.attr):
            yield from _texts(value, scope, file, line)
    elif isinstance(node, ast.Name):
        for value, at in _assigned(node.id, scope, file, line):
            yield from _texts(value, scope, file, at)


@cache
def _attributes(name: str) -> list[ast.expr]:
    """Return the texts of a class attribute in every class that states it."""
    places = [path for path, text in texts().items() if re.search(rf"^    {name} = ", text, re.MULTILINE)]
    classes = [node for path in places for node in _File(path, ()).tree.body if isinstance(node, ast.ClassDef)]
    assigned = [node for found in classes for node in found.body if isinstance(node, ast.Assign)]
    return [node.value for node in assigned if name in map(_last, node.targets)]


def _assigned(name: str, scope: ast.AST, file: _File, line: int) -> list[tuple[ast.expr, int]]:
    """Return the values of a name at a line: all assignments since its previous use, otherwise those of the file."""
    nodes = [node for node in ast.walk(scope) if getattr(node, "lineno", line) < line]
    used = [n.lineno for n in nodes if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
    given = [(n.value, n.lineno) for n in nodes if isinstance(n, ast.Assign) and name in map(_last, n.targets)]
    fresh = [(value, at) for value, at in given if at > max((u for u in used if u < line), default=0)]
    fresh = fresh or given[-1:]
    outside = [n for n in file.tree.body if isinstance(n, ast.Assign) and name in map(_last, n.targets)]
    return fresh or [(n.value, n.lineno) for n in outside]


def _place(part: ast.FormattedValue) -> str:
    """Return a word for a placeholder of an f-string: the last meaningful name in it."""
    names = re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'|\"[^\"]*\"", "", ast.unparse(part.value)))
    names = [name for name in names if name not in ("len", "quoted", "self", "str", "sorted", "join", "map", "shown")]
    return "{" + (names[-1].strip("_").lower() if names else "value") + "}"


def entries(text: str) -> dict[str, list[str]]:
    """Return the codes in each section of the page, in order, sorted as in `codes`."""
    places = {kind: text.find(f"\n{heading}\n") for kind, heading in SECTIONS.items()}
    ends = sorted([*places.values(), len(text)])
    return {
        kind: ENTRY.findall(text, place, next(end for end in ends if end > place)) if place >= 0 else []
        for kind, place in places.items()
    }


def brought_up_to_date(text: str) -> str:
    """Return the page with the current messages under each entry."""
    known = codes()
    out, kind = [], "error"
    for block in re.split(r"^(?=##)", text, flags=re.MULTILINE):
        heading = block.partition("\n")[0]
        kind = next((k for k, title in SECTIONS.items() if title == heading), kind)
        entry = ENTRY.match(block)
        if entry:
            kept = [line for line in block.rstrip().splitlines() if not line.startswith(">")]
            said = [f"> {sentence}\n>" for sentence in known[kind].get(entry[1], []) if sentence.strip()]
            block = "\n".join(["\n".join(kept).rstrip(), "", *said]).rstrip().removesuffix("\n>") + "\n\n"
        out.append(block)
    return "".join(out).rstrip() + "\n"


def faults(text: str) -> list[str]:
    """Return missing and superfluous entries of the page, and codes without a description."""
    there = entries(text)
    out = []
    for kind, known in codes().items():
        out += [f"{code} ({kind}) has no entry" for code in sorted(known.keys() - set(there[kind]))]
        out += [f"the entry {code} is of no {kind}" for code in there[kind] if code not in known]
        out += [f"{code} ({kind}) has two entries" for code in sorted(set(there[kind])) if there[kind].count(code) > 1]
        out += [f"the entries of {kind} are not in order"] * (there[kind] != sorted(there[kind]))
    for block in re.split(r"^(?=##)", text, flags=re.MULTILINE):
        if entry := ENTRY.match(block):
            out += [f"{entry[1]} lacks its {part}" for part in PARTS if not re.search(rf"^- {part}: \S", block, re.M)]
    return out


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    text = PAGE.read_text(encoding="utf-8")
    fresh = brought_up_to_date(text)
    if arguments == ["--write"] and fresh != text:
        PAGE.write_text(fresh, encoding="utf-8")
        text = fresh
    wrong = [*faults(text), *(["the sentences are behind; run `make lists`"] * (fresh != text))]
    print("\n".join(wrong), end="\n" * bool(wrong))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
