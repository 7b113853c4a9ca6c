"""Figures of the experiments on node vectors: the pre-registered comparisons, and the map of when they help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from REACTKDTrainLib.results.figures import COLORS
from REACTKDTrainLib.study.results import OURS, RIVAL, SCORES, label_of

_TEACHERS = (("same", "same patients"), ("large", "the whole pool"))


def draw_primary(figure, nodes: Mapping) -> None:
    """Draw each subset's difference, and the mean with its interval over subsets and cases."""
    axes = np.atleast_1d(figure.subplots(1, 2, sharey=True))
    for axis, teacher, title in zip(axes, *zip(*_TEACHERS), strict=True):
        axis.axhline(0, color="0.7", linewidth=0.8)
        places = []
        for place, (size, found) in enumerate(nodes["sizes"].items()):
            found = found["differences"].get(f"{OURS}/{teacher} - {RIVAL}/{teacher}")
            found = found["ct"] if found else None
            if not found or found["difference"] is None:  # without test cases of a grade there is no AUC
                continue
            places.append((place, size))
            each = np.array(found["of_each_run"], dtype=float)
            spread = np.linspace(-0.18, 0.18, len(each)) if len(each) > 1 else np.zeros(1)
            axis.plot(place + spread, each, ".", color=COLORS[4], markersize=5)
            value = found["difference"]
            low, high = found["interval95"] or (value, value)  # one subset has no interval
            axis.errorbar(place, value, yerr=[[value - low], [high - value]], color=COLORS[0], marker="s", capsize=5)
        axis.set_xticks([p for p, _ in places], [f"{s} patients" for _, s in places])
        axis.set_title(f"teacher of {title}", fontsize=10)
    axes[0].set_ylabel("macro AUC on CT: REACT-KD - KD (logits)")
    figure.suptitle("The primary comparison (dots: training subsets; bars: 95 % over subsets and cases)", fontsize=11)


def draw_map(figure, entries: Sequence[Mapping]) -> None:
    """Draw the gain over logits alone by the heterogeneity of the lesions; the independent biology is at the right.

    entries: of `tables.map_of`; hollow marks: generated phantoms. Bars: 95 % over subsets and cases.
    """
    axes = np.atleast_1d(figure.subplots(1, 2, sharey=True))
    ticks = {_place(e): "independent\nbiology" if e["h"] is None else f"{e['h']:g}" for e in entries}
    for axis, (teacher, title) in zip(axes, _TEACHERS, strict=True):
        axis.axhline(0, color="0.7", linewidth=0.8)
        for shift, color, method in ((-0.015, COLORS[0], OURS), (0.015, COLORS[1], SCORES)):
            label = f"{label_of(method)} - {label_of(RIVAL)}"
            for drawn in (False, True):
                own = [e for e in entries if e["drawn"] == drawn and (method, teacher) in e["gains"]]
                if own:
                    look = {"mfc": "white", "label": f"{label}, drawn phantoms"} if drawn else {"label": label}
                    _gains(axis, own, (method, teacher), shift + 0.04 * drawn, color, look)
        axis.set_xticks(list(ticks), list(ticks.values()))
        axis.set(xlabel="heterogeneity h of the lesions (shared biology)", title=f"teacher of {title}")
    axes[0].set_ylabel("macro AUC on CT: gain over logits alone")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, ncols=2, loc="outside upper center")  # hides no mark


def _gains(axis, entries: Sequence[Mapping], key: tuple[str, str], shift: float, color: str, look: Mapping) -> None:
    """Draw marks with bars, and a line through those of the shared biology."""
    found = [entry["gains"][key] for entry in entries]
    x = np.array([_place(entry) for entry in entries])
    y = np.array([gain["difference"] for gain in found])
    low, high = np.array([gain["interval95"] or [gain["difference"]] * 2 for gain in found]).T
    axis.errorbar(x + shift, y, [y - low, high - y], color=color, marker="s", capsize=4, linestyle="none", **look)
    if len(entries) > 2:
        axis.plot(x[x <= 1] + shift, y[x <= 1], color=color, linewidth=0.8)


def _place(entry: Mapping) -> float:
    """Return the position on the axis of h; the independent biology, which has no h, is placed beyond its end."""
    return 1.1 if entry["h"] is None else entry["h"]
