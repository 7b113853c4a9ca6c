"""The application's file dialogs, as functions that return a path or None."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from REACTKDLib.core.text import isolated
from REACTKDLib.gui.plain_text import as_is
from REACTKDLib.gui.words import joined

_FOLDER = "REACTKD/LastFolder"


def ask_file(title: str, kinds: str) -> Path | None:
    """Ask for a file that exists. kinds: "Lists (*.csv *.json)"."""
    return _kept(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, _last_folder(), kinds))


def ask_folder(title: str) -> Path | None:
    """Ask for a folder."""
    return _kept(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, _last_folder()))


def ask_target(title: str, name: str, kinds: str, suffixes: tuple[str, ...] = ()) -> Path | None:
    """Ask where to save a file, proposing `name`; its suffix is added if the user left it out.

    The dialog asks before replacing the file as typed; if a suffix was added, this function asks.

    suffixes: equally valid ones, the proposed one first; by default only the proposed one.
    """
    start = str(Path(_last_folder()) / name)
    path = _kept(qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, start, kinds))
    known = suffixes or (Path(name).suffix,)
    if path is None or path.name.lower().endswith(tuple(suffix.lower() for suffix in known)):
        return path
    path = path.with_name(path.name + known[0])
    return path if confirm_replacing(path) else None


def confirm_replacing(*paths: Path) -> bool:
    """Ask before files of one folder are replaced; True if none of them exists, or the user agrees."""
    there = [isolated(path.name) for path in paths if path.exists()]
    if not there:
        return True
    question = _("Replace {names} in the folder {folder}? What is there now is lost.")
    return slicer.util.confirmOkCancelDisplay(
        as_is(question.format(names=joined(there), folder=isolated(paths[0].parent.name)))
    )


def all_files(words: str, patterns: str) -> str:
    """Return the filter of a dialog: these files, or all."""
    return f"{words} ({patterns});;{_('All files')} (*)"


def _last_folder() -> str:
    return str(slicer.util.settingsValue(_FOLDER, "") or "")


def _kept(answer: Any) -> Path | None:
    """Return the chosen path; the next dialog starts in its folder. PythonQt returns a text, other bindings a pair."""
    text = answer[0] if isinstance(answer, tuple) else answer
    if not text:
        return None
    path = Path(text)
    qt.QSettings().setValue(_FOLDER, str(path if path.is_dir() else path.parent))
    return path
