"""User-visible texts of core and scene are translatable: each is marked, found by Slicer's tools, and complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.made_up_language import CALL

LIBRARY = Path(__file__).resolve().parents[3] / "REACTKD" / "REACTKDLib"
FIELD = re.compile(r"\{(\w+)\}")
ERRORS = {
    node.name
    for path in LIBRARY.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef) and (path.name == "errors.py" or node.name.endswith("Fault"))
}
#: files whose texts are in English for every reader
ENGLISH = ("core/phantom", "core/text.py", "core/errors.py")
FILES = [
    path.relative_to(LIBRARY).as_posix()
    for room in ("core", "scene")
    for path in sorted((LIBRARY / room).rglob("*.py"))
    if not path.relative_to(LIBRARY).as_posix().startswith(ENGLISH)
]


def calls_in(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield the name and node of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "id", getattr(node.func, "attr", "")), node


def said_before(tree: ast.AST, template: ast.expr) -> ast.expr:
    """The value last assigned to a name before its use as a template; any other expression unchanged."""
    if not isinstance(template, ast.Name):
        return template
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and node.lineno < template.lineno
        and ast.unparse(node.targets[0]) == template.id
    ]
    return max(found, key=lambda node: node.lineno).value if found else template


def faults_of(source: str) -> list[str]:
    """The faults in the texts of a file, by line."""
    tree, found = ast.parse(source), []
    for name, call in calls_in(tree):
        if name == "_" and not CALL.fullmatch(ast.get_source_segment(source, call)):
            found.append(f"{call.lineno}: Slicer's tools do not find this; write _(...) around one text in quotes")
        if name in ERRORS and call.args:
            template, values = call.args[-1], call.keywords
            if isinstance(template, ast.JoinedStr) or (isinstance(template, ast.Constant) and template.value):
                found.append(f"{call.lineno}: the error {name} has a text without _(...)")
        elif name == "Finding" and len(call.args) > 2:
            template, values = call.args[2], [value for value in call.keywords if value.arg != "location_ras"]
            if isinstance(template, (ast.JoinedStr, ast.Constant)):
                found.append(f"{call.lineno}: the finding has a text without _(...)")
        elif name == "format" and isinstance(call.func.value, ast.Call):
            template, values = call.func.value, call.keywords
        else:
            continue
        template = said_before(tree, template)
        if isinstance(template, ast.Call) and getattr(template.func, "id", "") == "_":
            wanted, given = set(FIELD.findall(template.args[0].value)), {value.arg for value in values}
            if wanted != given:
                found.append(f"{call.lineno}: {sorted(wanted)} stand in the text, and {sorted(given)} are given")
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.Lambda)) and any(
            name == "_" for name, _call in calls_in(function)
        ):
            bound = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == "_"]
            if any(isinstance(node.ctx, ast.Store) for node in bound):
                found.append(f"{function.lineno}: the name _ is another thing here")
    return found


@pytest.mark.parametrize("file", FILES)
def test_texts_are_marked_and_whole(file: str) -> None:
    assert faults_of((LIBRARY / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ('raise NoLiver(_("The {organ} is gone."), organ=organ)', 0),
        ('raise NoLiver(f"The {organ} is gone.")', 1),
        ('raise NoLiver("The liver is gone.")', 1),
        ('raise NoLiver(_("The {organ} is gone."), liver=organ)', 1),
        ('Finding("a", "info", _("The {organ} is gone.").format(organ=organ))', 0),
        ('Finding("a", "info", f"The {organ} is gone.")', 1),
        ('Finding("a", "info", _("The {organ} is gone."))', 1),
        ('Finding("a", "info", _("The {organ} is gone."), organ=organ)', 0),
        ('text = _("The {organ} is gone.")\nFinding("a", "info", text, liver=organ)', 1),
        ('text = _("The {organ} is gone.").format()', 1),
        ('text = _(f"The {organ} is gone.")', 1),
        ('def f():\n    for _ in "ab":\n        say(_("It is gone."))', 1),
    ],
)
def test_what_is_a_fault(source: str, faults: int) -> None:
    assert len(faults_of(source)) == faults
