"""The names of columns and keys of a list for the organ and the lesions of any task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

Cell = TypeVar("Cell")
_GENERAL = {"liver": ("organ",), "tumor": ("lesion", "lesions")}


def names_of(task: Task = HCC_GRADE) -> dict[str, str]:
    """Return {name: 'liver' or 'tumor'}: the allowed names of the organ and its lesions in a list, in lower case.

    These are "organ" and "lesion", the task's names ("kidney", "mass"), and the names of the built-in task, which the
    program uses internally. Synonyms of segments are not included: a column "hcc" may contain anything.
    """
    found = {name: kind for kind, names in _GENERAL.items() for name in (kind, *names)}
    for kind in _GENERAL:
        structure = task.structure(kind)
        found |= {str.__str__(name).lower(): kind for name in (structure.name, structure.many)}
    return found


def with_usual_names(row: Mapping[str, Cell], task: Task = HCC_GRADE) -> dict[str, Cell]:
    """Return a row of a list with the organ under 'liver' and the lesions under 'tumor', other columns as they are.

    Raises: UsageError if two non-empty columns stand for the same one.
    """
    known, out = names_of(task), {}
    given: dict[str, str] = {}
    for name, cell in row.items():
        kind = known.get(name, name)
        if out.get(kind) and cell and out[kind] != cell:
            text = _("A case of the list has both {names}, which mean the same; leave one.")
            raise UsageError(text, names=quoted([given[kind], name]))
        if cell or kind not in out:
            out[kind], given[kind] = cell, name
    return out
