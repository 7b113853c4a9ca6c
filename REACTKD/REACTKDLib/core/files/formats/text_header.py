"""Reading of a text header: its lines and its length."""

from __future__ import annotations

import re
from pathlib import Path

from REACTKDLib.core.files.headers import unreadable_header

MOST_BYTES = 1 << 24  # hundreds of segments with their terminology take some 100 kB
_FIRST = 1 << 16


def text_header(path: Path, end: re.Pattern[bytes], role: str) -> tuple[list[str], int, bool]:
    """Return the lines of a header, its length in bytes including `end`, and whether `end` was found.

    Raises: NotAnImage for a header that does not end within 16 MB.
    """
    with open(path, "rb") as stream:
        head = stream.read(_FIRST)
        match = end.search(head)
        if match is None and len(head) == _FIRST:
            head += stream.read(MOST_BYTES)
            match = end.search(head)
    if match is None and len(head) > MOST_BYTES:
        raise unreadable_header(role)
    length = match.end() if match else len(head)
    return head[:length].decode("utf-8", "replace").replace("\r\n", "\n").split("\n"), length, match is not None
