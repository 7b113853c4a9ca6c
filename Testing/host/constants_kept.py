"""Keeps None, True and False from being freed in Python versions before 3.12, where they are immortal (PEP 683)."""

from __future__ import annotations

import ctypes
import sys

_SPARE = 1 << 32


def keep_constants() -> None:
    """Add references to None, True and False, once per process.

    PySide6 6.12 returns None without owning it in every call that returns nothing (`QWidget.layout()`,
    `QCoreApplication.processEvents()`), and so True in `emit` of a signal, which decrements their reference counts each
    time. From Python 3.12 on this has no effect; before, tests ended after some minutes with "deallocating None", or
    "deallocating True or False" at the end of the process. This count is large enough never to run out.
    """
    if sys.version_info < (3, 12):
        for constant in (None, True, False):
            if sys.getrefcount(constant) < _SPARE:
                ctypes.c_ssize_t.from_address(id(constant)).value += _SPARE
