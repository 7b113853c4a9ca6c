"""One message for all bad cells of a column of a list, and the texts of cells that are meant to be empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from REACTKDLib.core.text import MOST_NAMED, quoted, shown

#: what spreadsheets and statistics programs write into an empty cell
NOTHING = ("none", "null", "na", "n/a", "nan", "-")


def cases_with(name: str, cells: Sequence[tuple[str, Any]]) -> str:
    """Return the beginning of a message: "Case 'a' has the grade 'G1'", or "3 cases (the first: 'a') have the grades
    'G1', 'G2'".

    name: of the column, in the singular. cells: at least one (name of the case, bad value). Values that differ only in
    letter case are named once.
    """
    cases, once = list(dict.fromkeys(case for case, _value in cells)), {}
    for _case, value in cells:
        once.setdefault(str(value).strip().casefold(), shown(repr(value)))
    values, more = list(once.values()), len(once) - MOST_NAMED
    named = ", ".join(values[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    what = f"the {name}{'s' if len(values) > 1 and not name.endswith('s') else ''} {named}"
    if len(cases) == 1:
        return f"Case {quoted(cases)} has {what}"
    return f"{len(cases)} cases (the first: {quoted(cases[:1])}) have {what}"
