"""In both libraries, imports only go down between rooms (packages) and files, also inside functions and for types.

The tables define the order: a room may import from those before it in the table and from itself, without cycles.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
ROOTS = {"REACTKDLib": REPOSITORY / "REACTKD", "REACTKDTrainLib": REPOSITORY / "REACTKDTrain"}
#: from bottom to top; "core" and "REACTKDTrainLib" alone stand for the files directly in them
CORE = ("core", *(f"core.{room}" for room in "writing images masks files cases student reports grading".split()))
CORE = (*CORE, "core.phantom", "core.review", "core.worker")
TRAINING = (
    *("cohorts", "low_dose", "data", "models", "distillation", "evaluation", "results", "training", "nodes"),
    *("study", "release", "commands"),
)
ORDER = (
    "REACTKDLib",  # its version
    *(f"REACTKDLib.{room}" for room in (*CORE, "api", "scene", "gui", "commands", "__main__")),
    "REACTKDTrainLib",
    *(f"REACTKDTrainLib.{room}" for room in (*TRAINING[:-1], "api", TRAINING[-1])),
    "REACTKDTrainLib.__main__",
)


def modules_in(roots: Mapping[str, Path]) -> dict[str, Path]:
    """Dotted name -> file of every module of the libraries; a package has its own name."""
    found = {}
    for library, root in roots.items():
        for path in sorted((root / library).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports_of(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Yield every known module that the file imports anywhere; a package only if one of its own names is imported."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [part if part in known else node.module for part in parts]
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func) and node.args:
            value = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            names = [value] if isinstance(value, str) else []
        else:
            continue
        yield from (name for name in names if name in known)


def graph_of(roots: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> the modules of the libraries that it imports."""
    known = modules_in(roots)
    return {name: set(imports_of(path, known)) - {name} for name, path in known.items()}


def room_of(module: str) -> str:
    """The entry of `ORDER` that a module belongs to: the longest matching prefix."""
    return max((room for room in ORDER if f"{module}.".startswith(f"{room}.")), key=len)


def upward(graph: Mapping[str, set[str]]) -> list[str]:
    """'module -> module' for every import that goes up."""
    place = {room: n for n, room in enumerate(ORDER)}
    return [
        f"{name} -> {other}"
        for name, others in sorted(graph.items())
        for other in sorted(others)
        if place[room_of(name)] < place[room_of(other)]
    ]


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return graph_of(ROOTS)


def test_imports_between_rooms_go_down(graph):
    assert sum(map(len, graph.values())) > 1000, "the imports were not read"
    assert upward(graph) == []


def test_no_files_import_each_other_in_a_circle(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_room_is_a_folder(graph):
    for room in ORDER:
        assert room in graph or room.endswith("__main__"), room


def test_every_folder_is_a_room(graph):
    folders = {name.rpartition(".")[0] for name in graph if "." in name}
    deep = {f"REACTKDLib.core.{name}" for name in ("files.dicom", "files.formats", "phantom.organs", "reports.values")}
    deep |= {"REACTKDTrainLib.cohorts.layouts", "REACTKDTrainLib.distillation.methods"}
    assert folders - set(ORDER) == deep  # nested rooms: ordered by their files


def test_the_architecture_lists_the_rooms_in_this_order():
    text = (REPOSITORY / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w/]+)` \|", text[: text.index("## Data flow")], re.MULTILINE)
    assert listed == [*(room.replace(".", "/") for room in CORE), "REACTKDTrainLib", *TRAINING]


@pytest.mark.parametrize(
    "line",
    [
        "from REACTKDLib.core.images.case import Case",
        "def late():\n    from REACTKDLib.core.images import case",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import REACTKDLib.core.images.case",
        "import importlib\nimportlib.import_module('REACTKDLib.core.images.case')",
    ],
)
def test_an_upward_import_and_a_circle_are_reported(tmp_path, line):
    for name in ("writing/atomic.py", "images/case.py"):
        path = tmp_path / "REACTKDLib" / "core" / name
        path.parent.mkdir(parents=True)
        path.write_text("from REACTKDLib.core.writing.atomic import x\n" if "case" in name else line)
    planted = graph_of({"REACTKDLib": tmp_path})
    assert upward(planted) == ["REACTKDLib.core.writing.atomic -> REACTKDLib.core.images.case"]
    with pytest.raises(CycleError):
        TopologicalSorter(planted).prepare()
