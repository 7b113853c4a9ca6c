"""None is never freed: what Python 3.12 promises (PEP 683), on older ones too."""

from __future__ import annotations

import ctypes
import sys

_SPARE = 1 << 32


def keep_none() -> None:
    """Give None references to spare, once per process.

    Among the bindings that a panel's timers and slots run through, one returns None without owning it. In Slicer (3.12)
    that does nothing; on Python 3.10 and 3.11 some minutes of tests ended with "deallocating None". A count of this
    size is never used up.
    """
    if sys.version_info < (3, 12) and sys.getrefcount(None) < _SPARE:
        ctypes.c_ssize_t.from_address(id(None)).value += _SPARE
