"""Allows only one long run at a time in an output folder; a second one is refused with a message that names the
first.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from REACTKDLib.core.errors import FolderInUse, OutputNotWritable
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.text import plural, sentence
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import write_text
from REACTKDLib.core.writing.file_lock import Locked, locked
from REACTKDLib.core.writing.refusals import refusal_of
from REACTKDLib.core.writing.replacing import recover


@contextmanager
def running_alone(target: Path, what: str) -> Iterator[None]:
    """Hold the lock of the folder of `target` (its table or record) during a run. what: 'a batch', 'a training'.

    Leftovers of a killed run in the folder are completed or removed. The lock is the operating system's and ends with
    the process; a hidden file beside it identifies the owner.

    Raises: FolderInUse with the owner's process, computer and age; OutputNotWritable.
    """
    owner = target.with_name(f".{target.name}.owner")
    lock = locked(target)
    try:
        made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.__enter__()
    except Locked as error:
        raise FolderInUse(_in_use_text(owner, what)) from error
    except OSError as error:
        raise OutputNotWritable(
            _("The output folder cannot be written ({reason}); choose another folder."),
            reason=refusal_of(error, target.parent),
        ) from error
    try:
        recover(target.parent)
        record = {"process": os.getpid(), "host": platform.node(), "since": time.time()}
        write_text(owner, json.dumps(record) + "\n")
        yield
    finally:
        with suppress(OSError):
            owner.unlink()  # before the release, or it could be the next owner's
        lock.__exit__(None, None, None)
        with suppress(OSError):  # a refused run leaves no empty folder
            for folder in made:
                folder.rmdir()


def _in_use_text(owner: Path, what: str) -> str:
    try:
        found = parse_json(owner.read_text(encoding="utf-8"))
        minutes = max(int(time.time() - found["since"]) // 60, 0)
        who = _("process {process} on {host}, for {age}").format(
            process=int(found["process"]), host=found["host"], age=_age(minutes)
        )
    except (OSError, ValueError, KeyError, TypeError):
        who = _("its process has just begun")
    return sentence(
        _(
            "{what} runs in the output folder already ({who}); wait until it has ended, or choose another folder."
        ).format(what=what, who=who)
    )


def _age(minutes: int) -> str:
    if minutes < 120:
        return plural(minutes, _("{count} minute"), _("{count} minutes"))
    return (
        plural(minutes // 60, _("{count} hour"), _("{count} hours"))
        if minutes < 48 * 60
        else plural(minutes // (24 * 60), _("{count} day"), _("{count} days"))
    )
