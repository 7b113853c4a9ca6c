"""Unknown columns and keys of a list: they are ignored, unless they may be misspellings of known ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from REACTKDLib.core.text import nearest_name

#: words in the name of a column that would hold an image or a mask
_FILE_WORDS = {
    *("ct", "cect", "pet", "mr", "mri", "fdg", "acetate", "act", "image", "images", "img", "picture", "scan"),
    *("seg", "segmentation", "mask", "label", "liver", "tumor", "tumour", "lesion"),
}
_IMAGE = re.compile(r"\.(nii(\.gz)?|nrrd|mha|mhd|dcm|nhdr)$", re.IGNORECASE)


def refused_columns(rows: Collection[Mapping[str, Any]], known: Collection[str]) -> list[str]:
    """Return the names in `rows` that must not be ignored: they refer to files, or resemble a known name.

    Sex, age or a hospital's own number may be in a list; an image must not be ignored silently.
    """
    names = sorted({name for row in rows for name in row} - set(known))
    return [name for name in names if _is_near(name, known) or any(_holds_file(row.get(name)) for row in rows)]


def _is_near(name: str, known: Collection[str]) -> bool:
    words = set(re.findall(r"[a-z]+", name.lower()))
    return bool(words & _FILE_WORDS) or nearest_name(name, known) is not None


def _holds_file(value: Any) -> bool:
    return isinstance(value, str) and bool(_IMAGE.search(value.strip()))
