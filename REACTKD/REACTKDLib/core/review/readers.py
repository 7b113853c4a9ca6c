"""Names of readers: their normal form, the folder for their masks, and their reading order in a study."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import sha256

from REACTKDLib.core.cases.names import confusable, file_name_of

LONGEST = 60
#: the reader of marks set without a name, as all were before names were introduced
UNNAMED = ""


def reader_name(typed: str) -> str:
    """Return the normal form of a typed name: composed letters, single blanks, at most 60 characters; maybe `UNNAMED`.

    Invisible characters (controls, direction marks, lone surrogates) are removed, so that different names also look
    different.
    """
    text = unicodedata.normalize("NFC", "".join(" " if c.isspace() else c for c in typed))
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"))
    return unicodedata.normalize("NFC", re.sub(r" +", " ", text).strip()[:LONGEST].strip())


def reader_folder(name: str) -> str:
    """Return the name of the folder for a named reader's masks: one that every file system accepts.

    It always ends with "~" and 64 bits of the name's hash, so names that differ only in letter case have different
    folders on Windows and macOS too.
    """
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{file_name_of(name).partition('~')[0] or 'reader'}~{digest}"


def same_person(name: str, others: Iterable[str]) -> str | None:
    """Return another name that may mean the same person ("Dr_Lee" beside "dr lee"), or None."""
    return next((other for other in others if other and other != name and confusable((other, name))), None)


def reading_order(case_ids: Sequence[str], seed: int, reader: str) -> list[int]:
    """Return the indices of the cases in the order in which a reader of a study sees them.

    Sorted by a hash of seed, reader and case: the same in every program and on every system, different for each reader,
    and unaffected by cases added to the list.
    """

    def key(place: int) -> bytes:
        return sha256("\0".join((str(seed), reader, case_ids[place])).encode("utf-8", "surrogatepass")).digest()

    return sorted(range(len(case_ids)), key=key)
