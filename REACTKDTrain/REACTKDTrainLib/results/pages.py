"""Markdown pages whose tables are written by commands, never typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.writing.atomic import write_text

ABSENT = "*Not run in this study.*"


def fill_page(path: Path, group: str, texts: Mapping[str, str]) -> list[str]:
    """Put each text between its marks `<!-- GROUP:NAME -->` and `<!-- /GROUP -->` of a page; other groups stay.

    Returns the names of the group on the page for which there is no text; the page then says so.
    Raises: UsageError for a page without a mark of the group, OutputNotWritable.
    """
    page = Path(path).read_text(encoding="utf-8")
    mark = re.compile(rf"(<!-- {group}:([a-z0-9_]+) -->\n).*?(<!-- /{group} -->)", re.DOTALL)
    names = [match.group(2) for match in mark.finditer(page)]
    if not names:
        raise UsageError(
            f"The page {Path(path).name} has no place for the table; add the lines <!-- {group}:NAME --> and "
            f"<!-- /{group} -->, where NAME is one of {', '.join(texts)}."
        )

    def filled(match: re.Match) -> str:
        return f"{match.group(1)}{texts.get(match.group(2), ABSENT)}\n{match.group(3)}"

    write_text(Path(path), mark.sub(filled, page))
    return [name for name in names if name not in texts]
