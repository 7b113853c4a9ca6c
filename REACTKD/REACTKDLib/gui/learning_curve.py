"""The learning curve of one training stage as a small picture: the loss above, the validation below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.worker.training_log import Curve

LOSS, VALIDATION = "#0072b2", "#d55e00"  # told apart by the color-blind
TEXT_HEIGHT = 16  # pixels
SMOOTHED = 30  # parts of the curve over which the drawn mean runs


def draw_curve(curve: Curve, width: int, height: int, palette: Any) -> Any:
    """Return a QPixmap of width x height pixels. palette: of the widget that will show it."""
    picture = qt.QPixmap(width, height)
    picture.fill(palette.color(qt.QPalette.Base))
    painter = qt.QPainter()
    painter.begin(picture)
    half = height // 2 if curve.validation else height
    end = curve.steps[-1]
    loss = list(zip(curve.steps, running_mean(curve.loss), strict=True))
    _plot(painter, (0, 0, width, half), loss, end, _("Training loss"), LOSS, palette)
    if curve.validation:
        title = _("Validation (log likelihood)")
        _plot(painter, (0, half, width, height - half), curve.validation, end, title, VALIDATION, palette)
    painter.end()
    return picture


def running_mean(values: Sequence[float]) -> list[float]:
    """The mean of the last values, over a thirtieth of the curve: what a person looks for in a noisy loss."""
    width, total, out = max(len(values) // SMOOTHED, 1), 0.0, []
    for index, value in enumerate(values):
        total += value - (values[index - width] if index >= width else 0.0)
        out.append(total / min(index + 1, width))
    return out


def _plot(
    painter: Any,
    box: tuple[int, int, int, int],
    points: Sequence[tuple[int, float]],
    last_step: int,
    title: str,
    color: str,
    palette: Any,
) -> None:
    """One curve with its title, its last value, and a frame, in box (left, top, width, height)."""
    left, top, width, height = box
    painter.setPen(palette.color(qt.QPalette.Mid))
    painter.drawRect(left, top, width - 1, height - 1)
    painter.setPen(palette.color(qt.QPalette.Text))
    label = _("{title}: {value} at step {step}").format(title=title, value=f"{points[-1][1]:.3g}", step=points[-1][0])
    painter.drawText(qt.QPoint(left + 5, top + TEXT_HEIGHT - 3), label)
    painter.setPen(qt.QPen(qt.QColor(color)))
    low, high = min(y for _step, y in points), max(y for _step, y in points)
    span, room = (high - low) or 1.0, height - TEXT_HEIGHT - 8
    seen = points[:: max(len(points) // width, 1)]
    placed = [
        (left + 4 + round((width - 9) * step / last_step), top + TEXT_HEIGHT + round(room * (high - value) / span))
        for step, value in seen
    ]
    for (x1, y1), (x2, y2) in zip(placed, placed[1:], strict=False):
        painter.drawLine(x1, y1, x2, y2)
    for x, y in placed if len(placed) <= width // 8 else placed[-1:]:
        painter.drawRect(x - 1, y - 1, 2, 2)
