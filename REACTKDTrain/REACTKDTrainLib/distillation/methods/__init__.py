"""Methods of distillation, a file each; one that lies here is found (see `distillation.distiller.Distiller`)."""

from __future__ import annotations

from pathlib import Path

#: the order of the paper's Table I; other methods follow, then ours and REACT-KD
_FIRST = ("none", "kd", "at", "cirkd", "mskd", "mtcm-kd", "awmt", "cwd", "crd", "ifvd")
_LAST = ("react-kd-scores", "react-kd")


def _found() -> tuple[str, ...]:
    """Names of the methods: of the files here, none of which is imported for it."""
    names = {path.stem.replace("_", "-") for path in Path(__file__).parent.glob("[!_]*.py")}
    known = {*_FIRST, *_LAST}
    return (*(n for n in _FIRST if n in names), *sorted(names - known), *(n for n in _LAST if n in names))


METHODS = _found()
