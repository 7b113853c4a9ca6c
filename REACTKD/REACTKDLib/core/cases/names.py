"""Names of cases and patients: which are valid file names, which collide as files, and which may mean the same
person.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import sha256

# File and folder names often contain a patient's name, and the id is written to every report, so it is never taken from
# them.
NEUTRAL_ID = "case"
LONGEST_BYTES = 200  # file systems take 255, and names get endings
_SEPARATORS = '/\\:*?"<>|'
#: control characters, halves of surrogate pairs, line and paragraph separators
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")
_TURNING = {"\ufffd", *map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))}  # these display a name as another
#: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE)
_SHORT = 60


def is_file_name(name: str) -> bool:
    """Return True if every file system accepts the name unchanged, as a folder or before a suffix."""
    return (
        bool(name)
        and name == name.strip()
        and not name.startswith(".")
        and not name.endswith(".")
        and not any(c in _SEPARATORS or c in _TURNING or unicodedata.category(c) in _UNWRITABLE for c in name)
        and not _RESERVED.fullmatch(name)
        and len(name.encode()) <= LONGEST_BYTES
    )


def file_name_of(name: str) -> str:
    """Return the name as one that every file system accepts; different names stay different.

    A changed name ends with "~" and a hash, which no unchanged name contains.
    """
    safe = re.sub(r"[^\w .-]+", "_", name).strip("._ ")[:_SHORT].rstrip(". ")
    while len(safe.encode()) > LONGEST_BYTES - 10:
        safe = safe[:-1]
    if safe == name and is_file_name(name):
        return name
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe if safe and not _RESERVED.fullmatch(safe) else 'case'}~{digest}"


def on_disk(name: str) -> str:
    """Return a key that is equal for names that are the same file on some file system (letter case, accents,
    blanks).
    """
    visible = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", visible.casefold()).strip(" .\t\r\n\xa0") or name


def confusable(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that may mean the same person, or None: "007" and "7" or "7.0", "Ab 1" and "AB_01"."""
    known: dict[str, str] = {}
    for name in names:
        if known.setdefault(key := _normalized(name), name) != name:
            return known[key], name
    return None


def _normalized(name: str) -> str:
    """Return what remains of a name after a spreadsheet, or someone retyping it, has changed it."""
    text = unicodedata.normalize("NFKC", name).casefold().strip().strip("'\"")
    if re.fullmatch(r"\d+[.,]0+", text):
        text = re.split(r"[.,]", text)[0]
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Cs"))
    text = re.sub(r"\d+", lambda number: number[0].lstrip("0") or "0", text)
    return re.sub(r"[\s_.-]+", " ", text).strip() or name
