"""Imports go down only: gui -> scene -> core, command line -> core, training -> core; checked in the source files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
LIBRARY = "REACTKD/REACTKDLib"
WIDGETS = ("qt", "ctk", "PySide6", "shiboken6", "PythonQt")
APPLICATION = ("slicer", "vtk", "vtkmodules", *WIDGETS)

# Folder or file -> the modules that nothing in it may import.
FORBIDDEN = {
    "REACTKD": ("REACTKDTrainLib",),
    f"{LIBRARY}/core": (*APPLICATION, "REACTKDLib.scene", "REACTKDLib.gui", "REACTKDLib.commands"),
    f"{LIBRARY}/scene": (*WIDGETS, "REACTKDLib.gui", "REACTKDLib.commands"),
    f"{LIBRARY}/gui": ("REACTKDLib.commands",),
    f"{LIBRARY}/commands": (*APPLICATION, "REACTKDLib.scene", "REACTKDLib.gui"),
    f"{LIBRARY}/api.py": (*APPLICATION, "REACTKDLib.scene", "REACTKDLib.gui", "REACTKDLib.commands"),
    f"{LIBRARY}/__main__.py": (*APPLICATION, "REACTKDLib.scene", "REACTKDLib.gui"),
    "REACTKDTrain/REACTKDTrainLib": (*APPLICATION, "REACTKDLib.scene", "REACTKDLib.gui", "REACTKDLib.commands"),
}


def imported_names(path: Path) -> Iterator[str]:
    """Yield the dotted name of every import in the file, at top level or inside functions, also by name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func) and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value


def python_files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def violations(place: Path, forbidden: tuple[str, ...]) -> list[str]:
    """Return 'file imports name' for each forbidden import, and for each relative one (they hide their target)."""
    return [
        f"{path.name} imports {name}"
        for path in python_files(place)
        for name in imported_names(path)
        if name.startswith(".") or any(name == bad or name.startswith(bad + ".") for bad in forbidden)
    ]


@pytest.mark.parametrize("place", FORBIDDEN)
def test_imports_go_down_only(place: str) -> None:
    assert python_files(REPOSITORY / place), f"there is nothing in {place}"
    assert violations(REPOSITORY / place, FORBIDDEN[place]) == []


def test_every_part_of_the_library_has_a_rule() -> None:
    parts = {path.name for path in (REPOSITORY / LIBRARY).iterdir() if path.name not in {"__init__.py", "__pycache__"}}
    assert {f"{LIBRARY}/{part}" for part in parts if not part.startswith(".")} <= set(FORBIDDEN)


@pytest.mark.parametrize(
    "line",
    [
        "import slicer",
        "import vtk.util.numpy_support",
        "from slicer.util import getNode",
        "from REACTKDLib import scene",
        "from REACTKDLib.gui.packages import ensure_packages",
        "def late():\n    import PySide6.QtCore",
        "import importlib\nimportlib.import_module('slicer')",
        "__import__('qt')",
        "from ..scene import case",
    ],
)
def test_an_upward_import_is_reported(tmp_path: Path, line: str) -> None:
    (tmp_path / "bad.py").write_text(line, encoding="utf-8")
    assert violations(tmp_path, FORBIDDEN[f"{LIBRARY}/core"])


def test_similar_module_names_are_accepted(tmp_path: Path) -> None:
    text = "import qtlike\nfrom REACTKDLib.core import scenery\nfrom REACTKDLib.core.images.volume import Volume"
    (tmp_path / "good.py").write_text(text, encoding="utf-8")
    assert violations(tmp_path, FORBIDDEN[f"{LIBRARY}/core"]) == []
