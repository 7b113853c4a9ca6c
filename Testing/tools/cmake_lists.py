#!/usr/bin/env python3
"""Keeps the file lists in the modules' CMakeLists.txt equal to the contents of their folders.

    python Testing/tools/cmake_lists.py            report missing or superfluous files; exit status 1 if there are any
    python Testing/tools/cmake_lists.py --write    write the lists

Slicer installs only listed files, so an unlisted file is missing only on the user's computer. The folders are read from
disk, not from git, so that a new file counts before it is committed.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """A module folder, its package, the names of its two CMake lists, and the files installed beside the package."""

    folder: str
    package: str
    scripts: str
    resources: str
    others: tuple[str, ...] = ()


MODULES = (
    Module(
        "REACTKD", "REACTKDLib", "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES", others=("REACTKD.py", "Resources")
    ),
    Module("REACTKDTrain", "REACTKDTrainLib", "LIBRARY_PYTHON_SCRIPTS", "LIBRARY_PYTHON_RESOURCES"),
)


def is_installed(path: Path) -> bool:
    """Return False for caches, hidden files and leftovers of editors or unfinished writes."""
    parts_are_visible = not any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return parts_are_visible and path.suffix not in {".pyc", ".pyo", ".part", ".orig", ".bak"} and path.name[-1] != "~"


def files_of(module: Module, repository: Path = REPOSITORY) -> tuple[list[str], list[str]]:
    """Return (scripts, resources) in the module's folder, relative to it, sorted."""
    folder = repository / module.folder
    found: list[str] = []
    for name in (module.package, *module.others):
        root = folder / name
        inside = [root] if root.is_file() else root.rglob("*") if root.is_dir() else []
        paths = (path.relative_to(folder) for path in inside if path.is_file())
        found += [path.as_posix() for path in paths if is_installed(path)]
    scripts = sorted(path for path in found if path.endswith(".py"))
    return scripts, sorted(set(found) - set(scripts))


def block_of(variable: str) -> re.Pattern[str]:
    """Return a pattern for the CMake command that sets `variable`, one file per line."""
    return re.compile(rf"^set\({variable}\n(?P<body>.*?)^  \)$", re.MULTILINE | re.DOTALL)


def listed(text: str, variable: str) -> list[str]:
    """Return the files that the CMake text lists under `variable`; ValueError if it does not set it."""
    match = block_of(variable).search(text)
    if match is None:
        raise ValueError(f"CMakeLists.txt does not set {variable} in the form 'set({variable}', a file a line, '  )'")
    return match["body"].split()


def differences(module: Module, repository: Path = REPOSITORY) -> list[str]:
    """Return one line for every file that is only listed or only in the folder."""
    text = (repository / module.folder / "CMakeLists.txt").read_text(encoding="utf-8")
    lines = []
    for variable, files in zip((module.scripts, module.resources), files_of(module, repository), strict=True):
        names = listed(text, variable)
        where = f"{module.folder}/CMakeLists.txt, {variable}"
        lines += [f"{where}: {name} is not listed" for name in files if name not in names]
        lines += [f"{where}: {name} is listed but does not exist" for name in names if name not in files]
        lines += [f"{where}: {name} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
    return lines


def write(module: Module, repository: Path = REPOSITORY) -> bool:
    """Rewrite the module's lists; return whether anything changed."""
    path = repository / module.folder / "CMakeLists.txt"
    before = text = path.read_text(encoding="utf-8")
    for variable, files in zip((module.scripts, module.resources), files_of(module, repository), strict=True):
        listed(text, variable)
        body = "".join(f"  {name}\n" for name in files)
        text = block_of(variable).sub(f"set({variable}\n{body}  )", text)
    if text != before:
        path.write_text(text, encoding="utf-8", newline="\n")
    return text != before


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--write"]):
        print("usage: cmake_lists.py [--write]", file=sys.stderr)
        return 2
    if arguments:
        for module in MODULES:
            print(f"{module.folder}/CMakeLists.txt: {'written' if write(module) else 'was up to date'}")
        return 0
    lines = [line for module in MODULES for line in differences(module)]
    if lines:
        print("\n".join([*lines, "`make lists` writes the lists."]), file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
