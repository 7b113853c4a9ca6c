"""The table of keyboard shortcuts with their descriptions, for the sections, tool tips, and the list of all keys.

They are active while the module is open. Standard keys are not used: Ctrl+N is New, Ctrl+P is Print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slicer.i18n import tr as _

from REACTKDLib.core.task import Task
from REACTKDLib.gui.plain_text import escaped
from REACTKDLib.gui.shortcuts import Shortcuts
from REACTKDLib.scene.translation import translated

#: action -> keys
KEYS: dict[str, str] = {
    "grade": "Ctrl+Shift+M",
    "first grade": "Ctrl+Shift+1",
    "second grade": "Ctrl+Shift+2",
    "third grade": "Ctrl+Shift+3",
    "reviewed, next": "Ctrl+Shift+D",
    "next case": "Ctrl+Shift+N",
    "previous case": "Ctrl+Shift+P",
    "next finding": "Alt+N",
    "accept": "Alt+A",
    "reject": "Alt+R",
    "before": "Alt+B",
    "layout": "Alt+0",
    "ct": "Alt+1",
    "fdg": "Alt+2",
    "acetate": "Alt+3",
    "fused fdg": "Alt+4",
    "fused acetate": "Alt+5",
    "rows": "Alt+6",
}
GRADES = ("first grade", "second grade", "third grade")
VIEWS = ("ct", "fdg", "acetate", "fused fdg", "fused acetate", "rows")


def words(task: Task) -> dict[str, str]:
    """Return action -> what its key does, in the language of the application, without grades that the task does not
    have.
    """
    return {
        "grade": _("Grade the case"),
        **{
            action: _("Your grade: {grade}").format(grade=translated(g.name)) for action, g in zip(GRADES, task.classes)
        },
        "reviewed, next": _("Reviewed, next case"),
        "next case": _("Open the next case"),
        "previous case": _("Open the case before this one"),
        "next finding": _("Go to the next finding"),
        "accept": _("Accept the proposed masks"),
        "reject": _("Reject the proposed masks"),
        "before": _("Masks before the proposal, and after it"),
        "layout": _("Layout for reading, or your own"),
        "ct": _("CT"),
        "fdg": _("FDG PET"),
        "acetate": _("Acetate PET"),
        "fused fdg": _("FDG PET over the CT"),
        "fused acetate": _("Acetate PET over the CT"),
        "rows": _("All images in rows"),
    }


def shortcuts(actions: Mapping[str, Callable[[], Any]]) -> Shortcuts:
    """Return the keys of these actions, to be claimed while the module is on show."""
    return Shortcuts({KEYS[action]: do for action, do in actions.items()})


def with_key(tip: str, *actions: str) -> str:
    """Return a tool tip that names the keys of these actions as well."""
    return _("{what} Key: {key}").format(what=tip, key=", ".join(KEYS[action] for action in actions))


def card(task: Task) -> str:
    """Return all keys with what they do, as rich text. task: whose classes the keys for grades stand for."""
    said = words(task)
    known = {keys: escaped(said[act]) for act, keys in KEYS.items() if act in said}
    rows = "".join(f"<tr><td>{keys}</td><td>&nbsp;{what}</td></tr>" for keys, what in known.items())
    return f"<table>{rows}</table>"
