"""Figures: rendered in memory, then written atomically, as PNG for the screen and SVG for print."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.core.writing.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: of curves and points, see `look`
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")  # distinguishable with color blindness
_SAVED = {".png": {"dpi": 130}, ".svg": {"metadata": {"Date": None}}}


def look(number: int) -> dict[str, Any]:
    """Return the style of curve `number` of a figure, for `plot` and `errorbar`: first the colors, then the colors with
    dash-dot patterns, one dot more each time; none is purely dashed, which is the style of limits.
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
    """Draw a new figure and write it to `path` with each suffix; the same drawing gives the same bytes.

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
            figure.set_layout_engine("none")  # reuse the layout of the first file: computing it is slow
            write_bytes(path.with_suffix(suffix), picture.getvalue())
