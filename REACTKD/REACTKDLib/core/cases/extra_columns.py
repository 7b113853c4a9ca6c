"""Unknown columns and keys of a list: they are ignored, unless they may be misspellings of known ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from REACTKDLib.core.text import nearest_name

#: words in the name of a column that would hold an image or a mask
_FILE_WORDS = {
    *("ct", "cect", "pet", "mr", "mri", "fdg", "acetate", "act", "image", "images", "img", "picture", "scan"),
    *("seg", "segment", "segments", "segmentation", "mask", "masks", "label", "labels"),
    *("liver", "tumor", "tumors", "tumour", "lesion", "lesions"),
}
#: what a cell holds that is no file: a number, or a date with or without the time
_VALUE = re.compile(r"[-+]?\d+([.,]\d+)?(e[-+]?\d+)?|\d{1,4}([./-])\d{1,2}\3\d{1,4}([ T][\d:.]+)?", re.IGNORECASE)
_IMAGE = re.compile(r"\.(nii(\.gz)?|nrrd|mha|mhd|dcm|nhdr)$", re.IGNORECASE)


def refused_columns(rows: Collection[Mapping[str, Any]], known: Collection[str]) -> list[str]:
    """Return the names in `rows` that must not be ignored: they refer to files or labels, or resemble a known name.

    Sex, age or a hospital's own number may be in a list; an image or a mask must not be ignored silently.
    """
    names = sorted({name for row in rows for name in row} - set(known))
    return [name for name in names if _is_refused(name, [row.get(name) for row in rows], known)]


def _is_refused(name: str, cells: Collection[Any], known: Collection[str]) -> bool:
    if nearest_name(name, known) is not None or any(map(_holds_file, cells)):
        return True
    words = set(re.findall(r"[a-z]+", name.lower()))
    filled = [cell for cell in cells if cell not in (None, "")]
    if words - _FILE_WORDS and filled and all(_is_value(cell) for cell in filled):  # the date of a scan, a tumor's size
        return False
    return bool(words & _FILE_WORDS)


def _is_value(cell: Any) -> bool:
    return isinstance(cell, int | float) or (isinstance(cell, str) and bool(_VALUE.fullmatch(cell.strip())))


def _holds_file(value: Any) -> bool:
    return isinstance(value, str) and bool(_IMAGE.search(value.strip()))
