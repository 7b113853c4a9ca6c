"""Corrected masks that cannot be saved beside their list: what is said of them, and what a reader can do."""

from __future__ import annotations

from REACTKDLib.core.errors import OutputNotWritable, ReactkdError
from REACTKDLib.core.text import joined, quoted
from REACTKDLib.core.text import tr as _

#: the case is about to go; it stays, and something else is about to be done; nothing else is about to be done
LEAVE = _("Stay, and save the masks elsewhere with Report > Masks...; or go on and lose the edits.")
GO_ON = _("Stay, and save the masks elsewhere with Report > Masks...; or go on without the edits.")
SAVE_ELSEWHERE = _("With Report > Masks... they can be saved elsewhere.")


def not_saved(case_id: str, error: ReactkdError, advice: str) -> str:
    """Say why the masks of a case are not saved, and what can be done where another place would help."""
    text = _("The corrected masks of {case} could not be saved. {error}")
    said = text.format(case=quoted([case_id]), error=_fault(error))
    return joined((said, advice)) if error.code == OutputNotWritable.code else said


def _fault(error: ReactkdError) -> str:
    """What went wrong alone: to choose another folder is the remedy of a command, and here nobody chose one."""
    target, reason = (error.values.get(name) for name in ("target", "reason"))
    if target is None or reason is None:
        return str(error)
    return _("{target} cannot be written ({reason}).").format(target=target, reason=reason)
