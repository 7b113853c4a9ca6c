"""The learning curve of one training stage as a small picture: the loss above, the validation below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.worker.training_log import Curve

LOSS, VALIDATION = "#0072b2", "#d55e00"  # distinguishable with color blindness
TEXT_HEIGHT = 16  # pixels
AXIS_WIDTH = 48  # for numbers such as -0.0123
MARGIN = 6
SMOOTHED = 30  # fraction 1/n of the curve for the running mean


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
    """Return the mean over the last thirtieth of the curve, which shows the trend of a noisy loss."""
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
    """One curve in box (left, top, width, height): its title and last value above it, and axes with numbers."""
    low, high = min(y for _step, y in points), max(y for _step, y in points)
    left, top, width, height = box
    above = 3 * TEXT_HEIGHT // 2  # the title, and half of the highest number
    inner = (left + AXIS_WIDTH, top + above, width - AXIS_WIDTH - MARGIN, height - above - TEXT_HEIGHT - MARGIN)
    painter.setPen(palette.color(qt.QPalette.Text))
    label = _("{title}: {value}").format(title=title, value=f"{points[-1][1]:.3g}")
    painter.drawText(qt.QPoint(left + 5, top + TEXT_HEIGHT - 4), label)
    _axes(painter, inner, (low, high), last_step, palette)
    painter.setPen(qt.QPen(qt.QColor(color)))
    placed = [place_of_point(inner, (low, high), last_step, point) for point in points[:: max(len(points) // width, 1)]]
    for (x1, y1), (x2, y2) in zip(placed, placed[1:], strict=False):
        painter.drawLine(x1, y1, x2, y2)
    for x, y in placed if len(placed) <= width // 8 else placed[-1:]:
        painter.drawRect(x - 1, y - 1, 2, 2)


def place_of_point(
    inner: tuple[int, int, int, int], span: tuple[float, float], last_step: int, point: tuple[int, float]
) -> tuple[int, int]:
    """Return the pixel of (step, value) in the area of a curve. span: values at its lower and upper end."""
    left, top, width, height = inner
    share = (span[1] - point[1]) / ((span[1] - span[0]) or 1.0)
    return left + round((width - 1) * point[0] / max(last_step, 1)), top + round((height - 1) * share)


def _axes(
    painter: Any, inner: tuple[int, int, int, int], span: tuple[float, float], last_step: int, palette: Any
) -> None:
    """The frame, with lowest, middle and highest value at its left, and steps below it."""
    left, top, width, height = inner
    values = (span[1], (span[0] + span[1]) / 2, span[0]) if span[0] != span[1] else (span[0],)
    right, middle = qt.Qt.AlignRight | qt.Qt.AlignVCenter, qt.Qt.AlignHCenter | qt.Qt.AlignVCenter
    for value in values:
        y = place_of_point(inner, span, last_step, (0, value))[1]
        painter.setPen(palette.color(qt.QPalette.Mid))
        painter.drawLine(left, y, left + width - 1, y)
        painter.setPen(palette.color(qt.QPalette.Text))
        box = qt.QRect(left - AXIS_WIDTH, y - TEXT_HEIGHT // 2, AXIS_WIDTH - 4, TEXT_HEIGHT)
        painter.drawText(box, right, f"{value:.3g}")
    painter.setPen(palette.color(qt.QPalette.Mid))
    painter.drawRect(left, top, width - 1, height - 1)
    painter.setPen(palette.color(qt.QPalette.Text))
    below = top + height
    painter.drawText(qt.QRect(left, below, width, TEXT_HEIGHT), qt.Qt.AlignLeft | qt.Qt.AlignVCenter, "0")
    painter.drawText(qt.QRect(left, below, width, TEXT_HEIGHT), middle, _("step"))
    painter.drawText(qt.QRect(left, below, width, TEXT_HEIGHT), right, str(last_step))
