"""User-visible texts of core and scene are translatable: each is marked, found by Slicer's tools, and complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.made_up_language import CALL

ROOT = Path(__file__).resolve().parents[3]
LIBRARY, TRAINING = ROOT / "REACTKD" / "REACTKDLib", ROOT / "REACTKDTrain" / "REACTKDTrainLib"
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
def test_texts_are_marked_and_complete(file: str) -> None:
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
def test_faulty_texts_are_reported(source: str, faults: int) -> None:
    assert len(faults_of(source)) == faults


#: what holds the name of a file, and such a name
HOLDS_A_FILE = re.compile(r"path|target|file|Path|\w+_FILE|WEIGHTS|METADATA|ENSEMBLE")
FILE = re.compile(r"[\w-]+\.(json|csv|pt|nii|gz)\b")


def names_that_begin_a_message(source: str) -> list[str]:
    """The messages in a file that begin with the name of a file, by line."""
    tree, found = ast.parse(source), []
    for name, call in calls_in(tree):
        if not call.args or not (name in (*ERRORS, "_", "Finding", "Problem") or name.endswith("Error")):
            continue
        text = said_before(tree, call.args[-1])
        if isinstance(text, ast.Call) and getattr(text.func, "id", "") == "_":
            text = text.args[0]
        first = text.values[0] if isinstance(text, ast.JoinedStr) else text
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and (field := FIELD.match(first.value)):
            given = {value.arg: value.value for value in call.keywords}
            first = given.get(field[1], ast.Name(field[1]))
        if isinstance(first, ast.Constant):
            is_file = FILE.match(str(first.value)) is not None
        else:
            words = (getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(first))
            is_file = first is not text and any(HOLDS_A_FILE.fullmatch(word) for word in words)
        if is_file:
            found.append(f"{call.lineno}: begin with a word instead of {ast.unparse(first)}")
    return found


def test_no_message_begins_with_the_name_of_a_file() -> None:
    """A sentence begins with a capital, and Low.nii.gz is another file than low.nii.gz."""
    paths = [path for library in (LIBRARY, TRAINING) for path in sorted(library.rglob("*.py"))]
    found = {path.name: names_that_begin_a_message(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ('raise UsageError(f"{path.name} is empty.")', 1),
        ('raise UsageError("run.json is empty.")', 1),
        ('text = _("{target} is full.")', 1),
        ('raise NotAnImage(_("{name} is empty."), name=path.name)', 1),
        ('text = _("{name} is empty.")\nraise NotAnImage(text, name=path.name)', 1),
        ('raise UsageError(f"The file {path.name} is empty.")', 0),
        ('raise NotAnImage(_("{role} is empty."), role=role)', 0),
    ],
)
def test_messages_that_begin_with_a_file_name_are_detected(source: str, faults: int) -> None:
    assert len(names_that_begin_a_message(source)) == faults
