"""A page with a study's tables: every table between its marks is written by this, never typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.study.paper import comparison
from REACTKDTrainLib.study.study import caption_of
from REACTKDTrainLib.study.tables import markdown, tables_of

_MARK = re.compile(r"(<!-- study:([a-z0-9_]+) -->\n).*?(<!-- /study -->)", re.DOTALL)


def insert_tables(study: Path, page: Path) -> list[str]:
    """Put each table of a study's results.json between `<!-- study:NAME -->` and `<!-- /study -->` of a page.

    'caption' is what the study is of, 'paper' the comparison with the paper. Returns the names that the study does not
    hold, where the page then says "not run". Raises: UsageError for a folder without results or a page without marks.
    """
    try:
        results = json.loads((Path(study) / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"There is no results.json in {Path(study).name}; run the study first.") from error
    text = Path(page).read_text(encoding="utf-8")
    if not _MARK.search(text):
        raise UsageError(f"The page {Path(page).name} has no marks <!-- study:NAME --> ... <!-- /study -->.")
    told = {name: f"**{title}**\n\n{markdown(table)}" for name, (title, table) in tables_of(results).items()}
    told |= {"caption": caption_of(results), "paper": markdown(comparison(results))}
    missing: list[str] = []

    def put(match: re.Match) -> str:
        name = match.group(2)
        if name not in told:
            missing.append(name)
        return f"{match.group(1)}{told.get(name, '*Not run in this study.*')}\n{match.group(3)}"

    write_text(Path(page), _MARK.sub(put, text))
    return missing
