"""Keeps None from being freed in Python versions before 3.12, where it is immortal (PEP 683)."""

from __future__ import annotations

import ctypes
import sys

_SPARE = 1 << 32


def keep_none() -> None:
    """Add references to None, once per process.

    PySide6 6.12 returns None without owning it in every call that returns nothing (`QWidget.layout()`,
    `QCoreApplication.processEvents()`), which decrements its reference count each time. From Python 3.12 on this has no
    effect; before, tests ended after some minutes with "deallocating None". This count is large enough never to run
    out.
    """
    if sys.version_info < (3, 12) and sys.getrefcount(None) < _SPARE:
        ctypes.c_ssize_t.from_address(id(None)).value += _SPARE
