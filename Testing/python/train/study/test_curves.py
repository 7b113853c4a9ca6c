"""Figures with many curves: each curve is drawn and distinguishable from all others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from REACTKDTrainLib.results import learning_curves
from REACTKDTrainLib.results.curves import draw_reliability, draw_roc
from REACTKDTrainLib.results.figures import look
from REACTKDTrainLib.study import figures
from REACTKDTrainLib.study.figures import LEVELS

NAMES = [f"row {n}" for n in range(9)]


def roc(figure: Figure) -> None:
    rate = np.linspace(0, 1, 5)
    one = {"false_positive_rate": rate, "true_positive_rate": rate, "low": rate, "high": rate}
    draw_roc(figure, {name: {grade: one for grade in "abc"} for name in NAMES}, "t", NAMES[7])


def reliability(figure: Figure) -> None:
    one = {"stated": [0.5, 0.7], "observed": [0.4, 0.6], "interval95": [[0.3, 0.5], [0.5, 0.7]]}
    axis = figure.subplots()
    draw_reliability(axis, dict.fromkeys(NAMES, one), "t")
    axis.legend()


def doses(figure: Figure) -> None:
    one = {level: {"macro_auc": {"value": 0.7, "interval95": [0.6, 0.8]}} for level in LEVELS}
    figures._doses(figure, {"rows": dict.fromkeys(NAMES, one), "labels": {}})


def learning(figure: Figure) -> None:
    rows = [{"step": "0", "loss": "1.0", "validation": "-1.0"}, {"step": "1", "loss": "0.9", "validation": "-0.9"}]
    learning_curves._draw(figure, "t", dict.fromkeys(range(len(NAMES)), rows))


def decisions(figure: Figure) -> None:
    curve = {"net_benefit": np.zeros(3), "low": np.zeros(3), "high": np.zeros(3)}
    found = {"thresholds": np.linspace(0.1, 0.5, 3), "models": dict.fromkeys(NAMES, curve), "treat_all": np.zeros(3)}
    grade = SimpleNamespace()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "graded_decision_curves", lambda *_, **__: found)
        table = {"grade": grade, "calibrated": grade, "patient": grade}
        figures._decisions(figure, {"none": table}, 5)


@pytest.mark.parametrize("draw", [roc, reliability, doses, learning, decisions])
def test_more_curves_than_colors_are_all_drawn_distinguishably(draw) -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    draw(figure)
    legend = next(axis.get_legend() for axis in figure.axes if axis.get_legend() is not None)
    shown = [text.get_text() for text in legend.get_texts()]
    assert len([name for name in shown if name.startswith(("row", "fold"))]) == len(NAMES)
    looks = [(line.get_color(), str(line._unscaled_dash_pattern)) for line in legend.get_lines()]
    assert len(set(looks)) == len(looks)


def test_line_styles_never_repeat() -> None:
    assert len({str(look(n)) for n in range(60)}) == 60
