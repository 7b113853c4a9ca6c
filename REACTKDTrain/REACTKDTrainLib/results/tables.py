"""Tables as Markdown and CSV, and the text of a value with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from REACTKDLib.core.files.tables import table_text

Table = list[list[str]]  # rows of cells, the heading first
NOTHING = "-"


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return the table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([lines[0], "| --- " * len(table[0]) + "|", *lines[1:]])


def as_csv(table: Sequence[Sequence[str]]) -> str:
    """Return the table as CSV for other programs; a missing value is an empty cell."""
    return table_text([["" if cell == NOTHING else cell for cell in row] for row in table])


def value_cell(found: Mapping | None, digits: int = 2, key: str = "value") -> str:
    """'0.812 (0.74-0.88)', '0.110 (-0.04 to 0.24)'. found: the value and its 'interval95', or None. digits: of the
    interval.
    """
    if found is None or found.get(key) is None:
        return NOTHING
    interval = found.get("interval95")
    if not interval:
        return f"{found[key]:.3f}"
    low, high = (f"{end:.{digits}f}" for end in interval)
    return f"{found[key]:.3f} ({low}{' to ' if '-' in low + high else '-'}{high})"


def difference_cell(found: Mapping | None, digits: int = 4) -> str:
    """'+0.0050 (-0.0010 to +0.0110)'. found: 'difference' and 'interval95', or None."""
    if found is None or found.get("difference") is None:
        return NOTHING
    low, high = found["interval95"]
    return f"{found['difference']:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def number_cell(value: float | None) -> str:
    """'0.812', or the text for a missing value."""
    return NOTHING if value is None else f"{value:.3f}"


def p_cell(value: float | None) -> str:
    """'0.031', or '< 0.001'."""
    return NOTHING if value is None else (f"{value:.3f}" if value >= 0.001 else "< 0.001")
