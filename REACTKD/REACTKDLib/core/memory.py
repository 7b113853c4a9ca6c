"""A lack of memory, which each library reports in its own way."""

from __future__ import annotations

import errno

from REACTKDLib.core.errors import OutOfMemory
from REACTKDLib.core.text import tr as _

#: of the system, PyTorch on the processor (Linux, Windows) and on a GPU, C++, SimpleITK; in lower case
_WORDS = (
    "cannot allocate memory",
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "failed to allocate memory",
)


def lacks_memory(error: BaseException) -> bool:
    """Return True if an error says that memory was short, or was raised from one that does.

    Readers of other libraries' formats say of every error of theirs that the file cannot be read.
    """
    cause: BaseException | None = error
    while cause is not None and not _says_so(cause):
        cause = cause.__cause__
    return cause is not None


def _says_so(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, OutOfMemory)) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def out_of_memory() -> OutOfMemory:
    """Return the error for a case that needs more memory than there is."""
    return OutOfMemory(_("There is not enough memory for this case; close other programs, or crop the images."))
