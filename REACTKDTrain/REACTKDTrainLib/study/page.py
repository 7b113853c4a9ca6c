"""A page with a study's tables: every table between its marks is written by this, never typed."""

from __future__ import annotations

import json
from pathlib import Path

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.results.pages import fill_page
from REACTKDTrainLib.results.tables import markdown
from REACTKDTrainLib.study.paper import comparison
from REACTKDTrainLib.study.study import caption_of
from REACTKDTrainLib.study.tables import tables_of


def insert_tables(study: Path, page: Path) -> list[str]:
    """Put each table of a study's results.json between `<!-- study:NAME -->` and `<!-- /study -->` of a page.

    'caption' is what the study is of, 'paper' the comparison with the paper. Returns the names that the study does not
    hold, where the page then says "not run". Raises: UsageError for a folder without results or a page without marks.
    """
    try:
        results = json.loads((Path(study) / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"There is no results.json in {Path(study).name}; run the study first.") from error
    texts = {name: f"**{title}**\n\n{markdown(table)}" for name, (title, table) in tables_of(results).items()}
    texts |= {"caption": caption_of(results), "paper": markdown(comparison(results))}
    return fill_page(page, "study", texts)
