"""The color tables of the results, created in code so that they are the same in every Slicer, and their legends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import slicer

from REACTKDLib.scene.shown_views import place_legend

EFFECT_TABLE = "REACTKD effect"
WEIGHT_TABLE = "REACTKD weight"
HEAT_TABLE = "REACTKD heat"
ENTRIES = 256

RGB = tuple[float, float, float]
_NEUTRAL: RGB = (0.94, 0.94, 0.94)
# Orange and blue are distinguishable with red-green color blindness, and every step differs from the neutral gray.
_FOR: RGB = (1.00, 0.36, 0.00)
_AGAINST: RGB = (0.10, 0.42, 1.00)
_SILENT, _FIRST_STEP = 0.0125, 0.12  # half a point on the scale of 40; larger values visibly differ from neutral
_HEAVY: RGB = (0.62, 0.10, 0.85)
# Black, violet, orange, pale yellow: brightness increases monotonically, so the map remains readable in grayscale.
_HEAT_STOPS: tuple[tuple[float, RGB], ...] = (
    (0.0, (0.10, 0.02, 0.20)),
    (0.35, (0.50, 0.07, 0.43)),
    (0.65, (0.91, 0.33, 0.18)),
    (0.88, (0.99, 0.73, 0.15)),
    (1.0, (0.99, 0.99, 0.75)),
)


def effect_color(effect: float | None, limit: float) -> RGB:
    """Return the color of a signed value: gray at 0, orange at `limit` (for the grade), blue at -`limit` (against).

    Saturation grows with the size of the value, so the most influential region is the most colorful. It starts with a
    step, so that small positive and negative values are distinguishable. None: gray.
    """
    if effect is None or limit <= 0:
        return _NEUTRAL
    share = max(-1.0, min(1.0, effect / limit))
    if abs(share) < _SILENT:
        return _NEUTRAL
    return _mix(_NEUTRAL, _FOR if share > 0 else _AGAINST, _FIRST_STEP + (1 - _FIRST_STEP) * abs(share))


def weight_color(weight: float | None, limit: float) -> RGB:
    """Return the color of an attention weight, which has no sign: gray at 0, violet at `limit`. None: gray."""
    if weight is None or limit <= 0:
        return _NEUTRAL
    return _mix(_NEUTRAL, _HEAVY, max(0.0, min(1.0, weight / limit)))


def heat_color(share: float) -> RGB:
    """Return the heat-map color at `share` in 0..1."""
    share = max(0.0, min(1.0, share))
    for (low, low_color), (high, high_color) in pairwise(_HEAT_STOPS):
        if share <= high:
            return _mix(low_color, high_color, (share - low) / (high - low))
    return _HEAT_STOPS[-1][1]


def fill_effect_table(node: Any) -> None:
    """Write the effect colors, -limit..limit, into a color table node."""
    _fill(node, lambda share: effect_color(2 * share - 1, 1.0))


def fill_weight_table(node: Any) -> None:
    """Write the weight colors, 0..limit, into a color table node."""
    _fill(node, lambda share: weight_color(share, 1.0))


def fill_heat_table(node: Any) -> None:
    """Write the heat-map colors, 0..1, into a color table node."""
    _fill(node, heat_color)


def legend_of(displayable: Any) -> Any | None:
    """Return the display node of the color legend of a displayable node, or None."""
    return slicer.modules.colors.logic().GetColorLegendDisplayNode(displayable)


def show_legend(displayable: Any, title: str, label_format: str, x: float) -> Any:
    """Show a small color legend for a displayable node, at the top of one view; return its display node.

    x: 0 left, 1 right. Its texts have a dark ground, to be read over a dark CT and over a white PET.
    """
    legend = legend_of(displayable)
    if legend is None:
        legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(displayable)
    legend.SetTitleText(title)
    legend.SetLabelFormat(label_format)
    legend.SetNumberOfLabels(5)
    legend.SetMaxNumberOfColors(ENTRIES)
    legend.SetPosition(x, 0.86 if title.count("\n") < 3 else 0.82)  # the title is above the bar, up to four lines
    for text, size in ((legend.GetTitleTextProperty(), 15), (legend.GetLabelTextProperty(), 13)):
        text.SetFontSize(size)
        text.SetFontFamilyToArial()
        text.SetColor(1.0, 1.0, 1.0)
        text.SetBackgroundColor(0.0, 0.0, 0.0)
        text.SetBackgroundOpacity(0.45)
    place_legend(legend)
    legend.SetVisibility(True)
    return legend


def _fill(node: Any, color_at: Callable[[float], RGB]) -> None:
    if _is_filled(node, color_at):
        return  # setting a color notifies every user of the table, in every view
    hold = node.StartModify()
    node.SetTypeToUser()
    node.SetNumberOfColors(ENTRIES)
    for index in range(ENTRIES):
        node.SetColor(index, f"{index}", *color_at(index / (ENTRIES - 1)), 1.0)
    node.GetLookupTable().SetRange(0, ENTRIES - 1)
    node.SetAttribute("Category", "REACTKD")
    node.EndModify(hold)


def _is_filled(node: Any, color_at: Callable[[float], RGB]) -> bool:
    """Return True if a table already has the colors: checked at a few entries, since nothing else writes here."""
    if node.GetNumberOfColors() != ENTRIES:
        return False
    color = [0.0] * 4
    for index in (0, ENTRIES // 3, ENTRIES - 1):
        node.GetColor(index, color)
        wanted = color_at(index / (ENTRIES - 1))
        if max(abs(x - y) for x, y in zip(color[:3], wanted, strict=True)) > 0.01:  # a table keeps 8 bits
            return False
    return True


def _mix(first: RGB, second: RGB, share: float) -> RGB:
    return tuple(a + (b - a) * share for a, b in zip(first, second, strict=True))
