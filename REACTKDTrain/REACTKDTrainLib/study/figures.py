"""Figures of a study, as PNG for the screen and SVG for print, each with a caption."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.text import plural
from REACTKDTrainLib.data.limits import latents_of, limit_of, prior_of
from REACTKDTrainLib.evaluation.calibration import reliability_curve, top_label
from REACTKDTrainLib.evaluation.decision_curve import graded_decision_curves
from REACTKDTrainLib.evaluation.measures import LEAST_PROBABILITY
from REACTKDTrainLib.evaluation.roc import roc_curves
from REACTKDTrainLib.low_dose.cohort import LEVELS
from REACTKDTrainLib.results.curves import LIMIT_LOOK, draw_reliability, draw_roc
from REACTKDTrainLib.results.figures import COLORS, look, save_figure
from REACTKDTrainLib.study.deciding import draw_deciding
from REACTKDTrainLib.study.node_figures import draw_map, draw_primary
from REACTKDTrainLib.study.results import LIMIT, OURS, RIVAL, by_row, label_of, pooled
from REACTKDTrainLib.study.tables import INPUT_HEADS, main_ways, map_of
from REACTKDTrainLib.training.calibration import fit_temperature

LEAST_CASES = 12  # fewer are too few for a curve


def draw_figures(study, results: Mapping, caption: str) -> None:
    """Draw into `<output>/figures` all figures for which the runs exist. study: a `study.Study`."""
    folder, plain = study.output / "figures", caption.replace("**", "")
    if results.get("methods", {}).get("rows"):
        runs = [*study.runs_of("methods"), *study.runs_of("seeds")]
        rows = by_row(runs, study.files, len(study.hospital.splits))
        shown = {m: _answers(rows[m][min(rows[m])]) for m in (OURS, RIVAL, "none") if m in rows}
        cases = {case.id: case for case in study.hospital.cohort.cases}
        draws = study.preset.draws
        if shown and len(next(iter(shown.values()))["grade"]) >= LEAST_CASES:
            save_figure(
                folder / "roc",
                lambda f: _roc(f, shown, cases, draws, prior_of(study.hospital.cohort)),
                (10, 4.4),
                plain,
            )
            save_figure(folder / "decision_curves", lambda f: _decisions(f, shown, draws), (6.4, 4.4), plain)
            save_figure(folder / "calibration", lambda f: _calibration(f, shown), (7.6, 4.2), plain)
        pair = {m: rows[m][min(rows[m])][0] for m in (RIVAL, OURS) if m in rows}
        if pair and len(pair[next(iter(pair))]["grade"]) >= LEAST_CASES:
            save_figure(folder / "embedding", lambda f: _embedding(f, pair), (8.4, 4.2), plain)
        if OURS in pair:
            save_figure(folder / "attention", lambda f: _attention(f, study, pair[OURS]), (10, 7), plain)
    if results.get("external", {}).get("rows"):
        save_figure(folder / "dose_response", lambda f: _doses(f, results["external"]), (6.4, 4.2), plain)
    for arm, nodes in results.get("nodes", {}).items():
        save_figure(folder / f"primary_{arm}", lambda f, n=nodes: draw_primary(f, n), (8.4, 4.4), plain)
    for arm, every in results.get("deciding", {}).items():
        found = main_ways(every)
        tall = 2.0 + 0.16 * max(map(len, found["inputs"].values()))
        draw = lambda f, own=found: draw_deciding(f, own, INPUT_HEADS)  # noqa: E731
        save_figure(folder / f"deciding_{arm}", draw, (10, tall), plain)
    if results.get("map"):
        save_figure(folder / "map", lambda f: draw_map(f, map_of(results)), (8.4, 4.4), plain)


def _answers(folds: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Pooled predictions on CT, and the same at the temperature of each fold's validation cases ('calibrated')."""
    found = []
    for fold in folds:
        logits, inner = (
            torch.from_numpy(fold[name]).double().clamp_min(LEAST_PROBABILITY).log() for name in ("p_ct", "inner_p_ct")
        )
        temperature = fit_temperature(inner, torch.from_numpy(fold["inner_grade"]))
        found.append({**fold, "calibrated": torch.softmax(logits / temperature, dim=1).numpy()})
    return {**pooled(found, "p_ct"), "calibrated": pooled(found, "calibrated")["p"]}


def _roc(figure, shown: Mapping[str, dict], cases: Mapping, draws: int, prior: str) -> None:
    first = next(iter(shown.values()))
    curves = {label_of(m): roc_curves(t["grade"], t["p"], t["patient"], draws) for m, t in shown.items()}
    latents = latents_of([cases[name] for name in first["case"]])
    if latents is not None:
        curves[LIMIT] = roc_curves(first["grade"], limit_of(latents, "ct", prior), first["patient"], draws)
    draw_roc(figure, curves, "ROC, CT alone at test time (band: 95 % over patients)", label_of(OURS), LIMIT)


def _decisions(figure, shown: Mapping[str, dict], draws: int) -> None:
    axis = figure.subplots()
    first = next(iter(shown.values()))
    found = graded_decision_curves(
        first["grade"], {label_of(m): t["calibrated"] for m, t in shown.items()}, patients=first["patient"], draws=draws
    )
    x = found["thresholds"]
    for number, (name, curve) in enumerate(found["models"].items()):
        own = look(number)
        axis.plot(x, curve["net_benefit"], **own, label=name)
        if name == label_of(OURS):
            axis.fill_between(x, curve["low"], curve["high"], color=own["color"], alpha=0.2, linewidth=0)
    axis.plot(x, found["treat_all"], color="0.4", linestyle="--", label="treat all")
    axis.axhline(0, color="0.7", linewidth=0.8, label="treat none")
    top = max(max(c["net_benefit"]) for c in found["models"].values())
    axis.set(ylim=(-0.1, max(top * 1.3, 0.1)), xlabel="threshold probability", ylabel="net benefit")
    axis.legend(frameon=False, fontsize=8)
    axis.set_title("Poor versus rest, CT alone, recalibrated on validation cases", fontsize=11)


def _calibration(figure, shown: Mapping[str, dict]) -> None:
    axes = figure.subplots(1, 2, sharey=True)
    for axis, key, title in zip(axes, ("p", "calibrated"), ("as trained", "recalibrated on validation"), strict=True):
        curves = {label_of(m): reliability_curve(*top_label(found["grade"], found[key])) for m, found in shown.items()}
        draw_reliability(axis, curves, title)
    axes[0].set_ylabel("how often it was right")
    axes[1].legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle("Calibration, CT alone (bars: 95 %)", fontsize=11)


def _embedding(figure, pair: Mapping[str, dict]) -> None:
    """Draw one fold only, because networks of different folds have different embedding spaces."""
    from sklearn.manifold import TSNE

    for axis, (method, found) in zip(np.atleast_1d(figure.subplots(1, len(pair))), pair.items(), strict=True):
        hidden = found["hidden"]
        scaled = (hidden - hidden.mean(axis=0)) / hidden.std(axis=0).clip(1e-6)
        flat = TSNE(perplexity=min(10, (len(hidden) - 1) / 3), init="pca", random_state=0).fit_transform(scaled)
        for color, (g, name) in zip(COLORS, enumerate(GRADES), strict=False):
            own = found["grade"] == g
            axis.scatter(*flat[own].T, color=color, label=name, s=26)
        graph = "with region graphs" if method == OURS else "without region graphs"
        axis.set(title=f"{label_of(method)}: {graph}", xticks=[], yticks=[])
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle("t-SNE of the attention-summed embedding, unseen cases of the first fold, all images", fontsize=11)


def _attention(figure, study, found: dict[str, np.ndarray]) -> None:
    """Draw three cases, with several lesions if possible: CT, and each region in the color of its deletion effect."""
    from matplotlib import colormaps
    from matplotlib.colors import TwoSlopeNorm

    cases = {case.id: case for case in study.hospital.cohort.cases}
    order = np.argsort(-np.isfinite(found["effect"]).sum(axis=1), kind="stable")
    chosen = [next(n for n in order if found["grade"][n] == g) for g in range(3) if (found["grade"] == g).any()]
    reach = max(float(np.nanmax(np.abs(found["effect"][chosen]))), 1e-3)
    norm, colors = TwoSlopeNorm(0, -reach, reach), colormaps["coolwarm"]
    axes = figure.subplots(2, len(chosen), squeeze=False)
    for column, n in enumerate(chosen):
        case = study.hospital.prepared(cases[str(found["case"][n])])
        masks = case.masks[0].occupancy.numpy()
        k = int(masks[1:].sum(axis=(0, 2, 3)).argmax()) if len(masks) > 1 else masks.shape[1] // 2
        image = case.images["ct"][k].numpy() if "ct" in case.images else next(iter(case.images.values()))[k].numpy()
        for axis in axes[:, column]:
            # the grid's axes point right and anterior; display as in the reading room, anterior up and right on the
            # left
            axis.imshow(image[::-1, ::-1], cmap="gray", vmin=40, vmax=180, interpolation="bilinear")
            axis.set(xticks=[], yticks=[])
        shown = np.zeros((*image.shape, 4))
        for node in range(min(len(masks), found["effect"].shape[1])):
            inside = masks[node, k] > 0.5
            shown[inside] = colors(norm(found["effect"][n, node]))
        shown = shown[::-1, ::-1]
        shown[..., 3] *= 0.65
        axes[1, column].imshow(shown, interpolation="nearest")
        predicted = _predicted(found, n)
        lesions = len(masks) - 1  # effects are stored for the first seven only, see `answers.NODES`
        axes[0, column].set_title(
            f"{GRADES[found['grade'][n]]}, predicted: {predicted} ({plural(lesions, 'lesion')})", fontsize=9
        )
    bar = figure.colorbar(
        _mappable(norm, colors), ax=axes[1].tolist(), orientation="horizontal", fraction=0.06, pad=0.03
    )
    bar.set_ticks([-reach, 0, reach], labels=[f"{v:+.3f}" for v in (-reach, 0, reach)])
    bar.set_label(
        "probability of the predicted grade that a region's deletion takes away (all images given)", fontsize=8
    )
    figure.suptitle("REACT-KD: which regions decided", fontsize=11)


def _predicted(found: Mapping[str, np.ndarray], n: int) -> str:
    """Return the grade predicted from all images of a case; earlier releases stored only that of three images."""
    if "predicted" in found:
        return GRADES[int(found["predicted"][n])]
    p = found["p_ct+fdg+acetate"][n]
    return GRADES[int(p.argmax())] if np.isfinite(p).all() else "not kept"


def _mappable(norm, colors):
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(norm, colors)


def _doses(figure, external: Mapping) -> None:
    axis = figure.subplots()
    for number, (row, found) in enumerate(external["rows"].items()):
        levels = [name for name in found if name in LEVELS]
        x = [LEVELS[name] for name in levels]
        found = [found[name]["macro_auc"] for name in levels]
        y = np.array([f["value"] for f in found], dtype=float)
        if row == LIMIT:
            axis.plot(x, y, **LIMIT_LOOK, label=LIMIT)
            continue
        low, high = np.array([f["interval95"] or (np.nan, np.nan) for f in found], dtype=float).T
        bars = [y - low, high - y] if row == OURS else None
        label = external["labels"].get(row, row)
        axis.errorbar(x, y, yerr=bars, **look(number), marker="o", capsize=3, label=label)
    axis.set(xscale="log", xlabel="share of the scan's own dose", ylabel="macro AUC, CT")
    axis.set_xticks([1.0, 0.25, 0.1], ["1", "1/4", "1/10"])
    axis.invert_xaxis()
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axis.set_title("External cohort by dose (bars: 95 % over patients)", fontsize=11)
