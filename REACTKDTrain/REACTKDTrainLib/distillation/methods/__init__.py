"""Distillation methods, one file each; a file in this folder is found (see `distillation.distiller.Distiller`)."""

from __future__ import annotations

from pathlib import Path

#: in the order of the paper's Table I, then other methods, then ours and REACT-KD
_FIRST = ("none", "kd", "at", "cirkd", "mskd", "mtcm-kd", "awmt", "cwd", "crd", "ifvd")
_LAST = ("react-kd-scores", "react-kd")


def _found() -> tuple[str, ...]:
    """Return the names of the methods from the file names in this folder, without importing them."""
    names = {path.stem.replace("_", "-") for path in Path(__file__).parent.glob("[!_]*.py")}
    known = {*_FIRST, *_LAST}
    return (*(n for n in _FIRST if n in names), *sorted(names - known), *(n for n in _LAST if n in names))


METHODS = _found()
