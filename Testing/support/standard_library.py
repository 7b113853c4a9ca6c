"""Run by each supported Python, without packages: does it compile our files, and does its standard library suffice?

python standard_library.py FOLDER...     prints one line for each fault; exit status 1 if there is any
"""

from __future__ import annotations

import ast
import importlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


def faults_of(path: Path) -> Iterator[str]:
    """Yield the names that the file needs and this Python's standard library lacks, or why it does not compile."""
    text = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse(text, path.name)
        compile(tree, path.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        yield f"{path.name}:{error.lineno}: {error.msg}"
        return
    known: dict[str, object] = {}
    nodes = list(ast.walk(tree))
    guarded = _guarded(nodes)
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)) and id(node) not in guarded:
            yield from _imports(path, node, known)
    for node in nodes:
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            thing = known[node.value.id]
            # Only attributes of classes and modules: those of instances are unknown before the program runs.
            if not hasattr(thing, node.attr) and isinstance(thing, (type, type(sys))):
                yield f"{path.name}:{node.lineno}: {node.value.id} has no {node.attr}"


def _imports(path: Path, node: ast.Import | ast.ImportFrom, known: dict[str, object]) -> Iterator[str]:
    """Yield imports that are missing, and record the names of those that exist."""
    if isinstance(node, ast.Import):
        wanted = [(alias.name, None, alias.asname or alias.name) for alias in node.names]
    else:
        wanted = [(node.module or "", alias.name, alias.asname or alias.name) for alias in node.names]
    for module, name, called in wanted:
        # distutils and others: in the standard library of some supported Python, removed from another.
        if module.partition(".")[0] not in _STANDARD or getattr(node, "level", 0):
            continue
        try:
            thing = importlib.import_module(module)
        except ModuleNotFoundError:
            yield f"{path.name}:{node.lineno}: there is no module {module}"
            continue
        if name is not None:
            try:
                thing = getattr(thing, name, None) or importlib.import_module(f"{module}.{name}")
            except ModuleNotFoundError:
                if not hasattr(thing, name):
                    yield f"{path.name}:{node.lineno}: {module} has no {name}"
                continue
        if "." not in called:
            known[called] = thing


def _guarded(nodes: list[ast.AST]) -> set[int]:
    """Return nodes guarded by a check of version or platform, or by `try` with `except ImportError`."""
    found: set[int] = set()
    for outer in nodes:
        if isinstance(outer, (ast.If, ast.IfExp)):
            named = (node for node in ast.walk(outer.test) if isinstance(node, ast.Attribute))
            asked = any(node.attr in ("version_info", "platform", "name") and _is_asked(node) for node in named)
        else:
            asked = isinstance(outer, ast.Try) and any("ImportError" in ast.unparse(h) for h in outer.handlers)
        if asked:
            found |= {id(inner) for inner in ast.walk(outer)}
    return found


def _is_asked(node: ast.Attribute) -> bool:
    return ast.unparse(node) in ("sys.version_info", "sys.platform", "os.name")


# Modules that only newer or only older supported Pythons have, in addition to those of this one.
_STANDARD = set(sys.stdlib_module_names) | {
    "tomllib",
    "distutils",
    "imp",
    "asynchat",
    "asyncore",
    "smtpd",
    "cgi",
    "pipes",
}


def main(folders: list[str]) -> int:
    warnings.simplefilter("ignore")
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    faults = [fault for path in files for fault in faults_of(path)]
    print(f"{len(files)} files", *faults, sep="\n")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
