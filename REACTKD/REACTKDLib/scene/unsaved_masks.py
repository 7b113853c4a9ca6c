"""Corrected masks that cannot be saved beside their list: the messages on them, and a fallback location at the end."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from REACTKDLib.core.cases.case_list import ListedCase
from REACTKDLib.core.errors import OutputNotWritable, ReactkdError
from REACTKDLib.core.text import joined, quoted
from REACTKDLib.core.text import tr as _
from REACTKDLib.scene.case_loader import CaseLoader

FOLDER = "reactkd-masks-"  # followed by letters that make it unique

#: the case is about to close; it stays but another action follows; no action follows
LEAVE = _("Stay, and save the masks elsewhere with Report > Masks...; or go on and lose the edits.")
GO_ON = _("Stay, and save the masks elsewhere with Report > Masks...; or go on without the edits.")
SAVE_ELSEWHERE = _("With Report > Masks... they can be saved elsewhere.")


def keep_elsewhere(loader: CaseLoader, case: ListedCase, error: ReactkdError) -> str:
    """Save the masks to the temporary folder when they are about to be lost and the user cannot be asked; return the
    message.

    The message is also written to the application's log, since no message is visible when it ends. The folder is new
    and private, so that nothing is overwritten. error: why they could not be saved in their own place.
    """
    text = not_saved(case.id, error)
    if error.code == OutputNotWritable.code:  # otherwise another place would not help
        text = joined((text, _kept(loader, case)))
    logging.getLogger(__name__).warning("%s", text)
    return text


def _kept(loader: CaseLoader, case: ListedCase) -> str:
    try:
        path = Path(tempfile.mkdtemp(prefix=FOLDER)) / f"{case.file_name}.seg.nrrd"
        loader.save_now(path)
    except (ReactkdError, OSError) as error:
        return _("Nor could they be kept in the temporary folder ({error}).").format(error=error)
    return _(
        "They are kept as {file}; move this file into the folder of corrected masks beside the list, or where it is "
        "not cleared away."
    ).format(file=path)


def not_saved(case_id: str, error: ReactkdError, advice: str = "") -> str:
    """Return why the masks of a case are not saved, with advice if another place would help."""
    text = _("The corrected masks of {case} could not be saved. {error}")
    said = text.format(case=quoted([case_id]), error=_fault(error))
    return joined((said, advice)) if advice and error.code == OutputNotWritable.code else said


def _fault(error: ReactkdError) -> str:
    """Return only the fault: the advice to choose another folder is for commands; here no folder was chosen."""
    target, reason = (error.values.get(name) for name in ("target", "reason"))
    if target is None or reason is None:
        return str(error)
    return _("The output {target} cannot be written ({reason}).").format(target=target, reason=reason)
