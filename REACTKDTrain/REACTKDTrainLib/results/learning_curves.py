"""Figures of the learning curves, one for each stage."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from REACTKDLib.core.worker.training_run import STAGES, fold_files
from REACTKDTrainLib.results.figures import look, save_figure
from REACTKDTrainLib.results.log import read_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curves(output: Path, phantom: bool) -> list[Path]:
    """Draw `<stage>.png` from the logs of all folds into `<output>/figures`. Returns the files.

    Top: the loss of each step (faint) and its running mean. Bottom: the mean log likelihood on the validation cases,
    with the best one marked, whose weights are kept. phantom: state in the title that the cases are phantoms.
    """
    made = []
    for stage in STAGES:
        logs = {n: read_log(path) for n, path in fold_files(Path(output), f"{stage}/log.csv").items()}
        logs = {n: rows for n, rows in logs.items() if rows}
        if logs:
            path = Path(output) / "figures" / f"{stage}.png"
            title = f"Learning curves: {stage.replace('-', ' ')}" + (" (digital phantom)" if phantom else "")
            save_figure(path, partial(_draw, title=title, logs=logs), (7, 5.5), suffixes=(".png",))
            made.append(path)
    return made


def _draw(figure: Figure, title: str, logs: dict[int, list[dict[str, str]]]) -> None:
    above, below = figure.subplots(2, 1, sharex=True)
    for number, (fold, rows) in enumerate(logs.items()):
        own = look(number)
        steps = np.array([int(r["step"]) + 1 for r in rows])
        loss = np.array([float(r["loss"]) for r in rows])
        above.plot(steps, loss, color=own["color"], alpha=0.25, linewidth=0.8)
        above.plot(steps, running_mean(loss, max(len(loss) // 30, 1)), **own, label=f"fold {fold}")
        seen = [(int(r["step"]) + 1, float(r["validation"])) for r in rows if r.get("validation")]
        if seen:
            x, y = np.array(seen).T
            below.plot(x, y, **own, marker=".", label=f"fold {fold}")
            below.plot(x[y.argmax()], y.max(), marker="*", markersize=13, color=own["color"])
    above.set_ylabel("training loss")
    below.set_ylabel("mean log likelihood,\nvalidation cases (star: kept)")
    below.set_xlabel("step")
    below.xaxis.get_major_locator().set_params(integer=True)
    above.legend(frameon=False)
    figure.suptitle(title)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of the last `width` values (fewer at the start)."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - width, 0)
    return (total[end] - total[start]) / (end - start)
