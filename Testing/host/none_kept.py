"""None is never freed: what Python 3.12 promises (PEP 683), on older ones too."""

from __future__ import annotations

import ctypes
import sys

_SPARE = 1 << 32


def keep_none() -> None:
    """Give None references to spare, once per process.

    PySide6 6.12 gives back None without owning it, at every call that returns nothing (`QWidget.layout()`,
    `QCoreApplication.processEvents()`): each takes one reference. From Python 3.12 on that does nothing; before, some
    minutes of tests ended with "deallocating None". A count of this size is never used up.
    """
    if sys.version_info < (3, 12) and sys.getrefcount(None) < _SPARE:
        ctypes.c_ssize_t.from_address(id(None)).value += _SPARE
