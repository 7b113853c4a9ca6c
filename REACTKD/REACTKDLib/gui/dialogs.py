"""The application's file dialogs, as functions that return a path or None."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from REACTKDLib.gui.words import joined

_FOLDER = "REACTKD/LastFolder"


def ask_file(title: str, kinds: str) -> Path | None:
    """Ask for a file that exists. kinds: "Lists (*.csv *.json)"."""
    return _kept(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, _last_folder(), kinds))


def ask_folder(title: str) -> Path | None:
    """Ask for a folder."""
    return _kept(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, _last_folder()))


def ask_target(title: str, name: str, kinds: str, suffixes: tuple[str, ...] = ()) -> Path | None:
    """Ask where to save a file, proposing `name`; its suffix is added where the user left it out.

    The dialog asks before a file is replaced, but of the name as it was typed; a name with its suffix added is asked
    about here.

    suffixes: others that are as good, the proposed one first; by default the proposed one alone.
    """
    start = str(Path(_last_folder()) / name)
    path = _kept(qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, start, kinds))
    known = suffixes or (Path(name).suffix,)
    if path is None or path.name.lower().endswith(tuple(suffix.lower() for suffix in known)):
        return path
    path = path.with_name(path.name + known[0])
    return path if confirm_replacing(path) else None


def confirm_replacing(*paths: Path) -> bool:
    """Ask before files of one folder are replaced; True where none of them is there, or the user agrees."""
    there = [path.name for path in paths if path.exists()]
    if not there:
        return True
    question = _("Replace {names} in the folder {folder}? What is there now is lost.")
    return slicer.util.confirmOkCancelDisplay(question.format(names=joined(there), folder=paths[0].parent.name))


def all_files(words: str, patterns: str) -> str:
    """Return the filter of a dialog: these files, or all."""
    return f"{words} ({patterns});;{_('All files')} (*)"


def _last_folder() -> str:
    return str(slicer.util.settingsValue(_FOLDER, "") or "")


def _kept(answer: Any) -> Path | None:
    """The path that was chosen; its folder is where the next dialog begins. PythonQt gives a text, others a pair."""
    text = answer[0] if isinstance(answer, tuple) else answer
    if not text:
        return None
    path = Path(text)
    qt.QSettings().setValue(_FOLDER, str(path if path.is_dir() else path.parent))
    return path
