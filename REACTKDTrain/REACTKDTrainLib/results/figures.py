"""Figures: drawn into memory, then written whole, as PNG to look at and SVG to print."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.core.writing.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: of curves and points, see `look`
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")  # told apart by the color-blind
_SAVED = {".png": {"dpi": 130}, ".svg": {"metadata": {"Date": None}}}


def look(number: int) -> dict[str, Any]:
    """How curve `number` of a figure is drawn, for `plot` and `errorbar`: in the colors first, then in them with dots
    between dashes, one dot more each time; none is dashed alone, as limits are.
    """
    dots, color = divmod(number, len(COLORS))
    return {"color": COLORS[color], "linestyle": (0, (4, 1) + (1, 1) * dots) if dots else "-"}


def save_figure(
    path: Path,
    draw: Callable[[Figure], None],
    size: tuple[float, float],
    caption: str = "",
    suffixes: Sequence[str] = tuple(_SAVED),
) -> None:
    """Draw into a new figure and write it as `path` with each suffix; the same drawing gives the same bytes.

    size: width and height in inches. caption: what the figure is of, below it. Raises: OutputNotWritable.
    """
    from textwrap import fill

    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "reactkd"}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        if caption:
            figure.supxlabel(fill(caption, int(size[0] * 15)), fontsize=7, color="0.35")
        for suffix in suffixes:
            picture = io.BytesIO()
            figure.savefig(picture, format=suffix[1:], **_SAVED[suffix])
            figure.set_layout_engine("none")  # room for the texts was made by the first file, in half of its time
            write_bytes(path.with_suffix(suffix), picture.getvalue())
