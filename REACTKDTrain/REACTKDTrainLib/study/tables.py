"""Tables of a study, from its results."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

from REACTKDLib.core.modality import INPUT_NAMES
from REACTKDLib.core.phantom.biology_shared import HETEROGENEITY
from REACTKDLib.core.text import plural
from REACTKDTrainLib.evaluation.metrics import COLUMNS
from REACTKDTrainLib.nodes.naming import WAYS
from REACTKDTrainLib.results.tables import Table, difference_cell, p_cell, value_cell
from REACTKDTrainLib.study.deciding import CHANCE, deciding_table, whole_table
from REACTKDTrainLib.study.deciding import LIMIT as DECIDING_LIMIT
from REACTKDTrainLib.study.presets import ON_NODES
from REACTKDTrainLib.study.results import LIMIT, OURS, RIVAL, SCORES, label_of

HEADINGS = {
    "macro_auc": "AUC",
    "accuracy": "accuracy",
    "macro_precision": "precision",
    "macro_recall": "recall",
    "macro_f1": "F1",
    "quadratic_kappa": "kappa",
}
INPUT_HEADS = {"ct": "CT", "fdg+acetate": "PET", "ct+fdg+acetate": "PET + CT"}


def tables_of(results: Mapping) -> dict[str, tuple[str, Table]]:
    """Return name -> (title, rows with the heading first), for everything in the results."""
    out: dict[str, tuple[str, Table]] = {}
    methods = results.get("methods")
    if methods and methods["rows"]:
        for inputs in INPUT_NAMES:
            name = f"table1_{inputs.replace('+', '_')}"
            out[name] = (f"Table I: every method, {INPUT_HEADS[inputs]} at test time", _measure_table(methods, inputs))
        out["table3"] = ("Table III: inputs at test time, macro AUC", _input_table(methods))
        if methods["tests"]:
            out["tests"] = ("REACT-KD against each method, CT at test time, paired, first seed", _tests(methods))
    if (results.get("ablation") or {}).get("rows"):
        ablation = results["ablation"]
        out["table2"] = (f"Table II: {', '.join(ablation['parts'].values())}", _ablation(ablation))
    if (results.get("teachers") or {}).get("rows"):
        out["teachers"] = ("Teachers on cases that they had not seen", _teachers(results["teachers"]))
    if (results.get("external") or {}).get("rows"):
        out["table4"] = ("Table IV: external cohort, CT, macro AUC by dose", _external(results["external"]))
    for arm, nodes in (results.get("nodes") or {}).items():
        words = f"biology {arm}"
        out[f"primary_{arm}"] = (f"Differences of macro AUC over training subsets, {words}", _primary(nodes))
        out[f"nodes_{arm}"] = (f"Mean macro AUC over training subsets, {words}", _node_means(nodes))
    for arm, every in (results.get("deciding") or {}).items():
        found = main_ways(every)
        words = f"{plural(found['cases'], 'liver')} with several lesions, biology {arm}"
        out[f"deciding_{arm}"] = (f"The deciding lesion is named, {words}", deciding_table(found, INPUT_HEADS))
        last = INPUT_NAMES[-1]
        by_grade = f"The deciding lesion is named, by true grade, {INPUT_HEADS[last]}"
        out[f"deciding_by_grade_{arm}"] = (by_grade, whole_table(found, last))
    if results.get("map"):
        out["map"] = ("When it helps: differences of macro AUC by CT", _map(map_of(results)))
    return out


def _measure_table(methods: Mapping, inputs: str) -> Table:
    head = ["method", *(HEADINGS[c] for c in COLUMNS), "AUC of each part, first seed", "seeds"]
    rows = [head]
    for row, measured in methods["rows"].items():
        own = measured[inputs]
        if own is None:
            continue
        folds = own["macro_auc"].get("of_each_fold")
        each = ", ".join("-" if v is None else f"{v:.2f}" for v in folds[0]) if folds else ""
        seeds = str(len(measured.get("seeds", []))) if row != LIMIT else ""
        rows.append([methods["labels"].get(row, row), *(value_cell(own[c]) for c in COLUMNS), each, seeds])
    return rows


def _input_table(methods: Mapping) -> Table:
    rows = [["method", *(INPUT_HEADS[i] for i in INPUT_NAMES)]]
    for row, measured in methods["rows"].items():
        cells = [value_cell((measured[i] or {}).get("macro_auc")) for i in INPUT_NAMES]
        rows.append([methods["labels"].get(row, row), *cells])
    return rows


def _tests(methods: Mapping) -> Table:
    rows = [["against", "AUC difference (95 %)", "p", "p, Holm", "p of each grade (DeLong)", "p of accuracy (McNemar)"]]
    for row, measured in methods["tests"].get("ct", {}).items():
        auc = measured["macro_auc"]
        each = ", ".join("-" if v is None or v["p"] is None else f"{v['p']:.2f}" for v in measured["auc"].values())
        numbers = [p_cell(auc.get("p")), p_cell(auc.get("p_holm")), each, p_cell(measured["accuracy"]["p"])]
        rows.append([methods["labels"][row], difference_cell(auc), *numbers])
    return rows


def _ablation(ablation: Mapping) -> Table:
    parts = ablation["parts"]
    rows = [[*parts.values(), *(INPUT_HEADS[i] for i in INPUT_NAMES), "accuracy (CT)", "F1 (CT)"]]
    for row, measured in ablation["rows"].items():
        has = row.split("+")
        on = [LIMIT, *[""] * (len(parts) - 1)] if row == LIMIT else ["yes" if p in has else "" for p in parts]
        cells = [value_cell((measured[i] or {}).get("macro_auc")) for i in INPUT_NAMES]
        ct = measured["ct"]
        rows.append([*on, *cells, *(value_cell(ct[c]) if ct else "-" for c in ("accuracy", "macro_f1"))])
    return rows


def _teachers(teachers: Mapping) -> Table:
    rows = [["teacher", *(HEADINGS[c] for c in COLUMNS)]]
    for row, measured in teachers["rows"].items():
        if measured is not None:
            rows.append([row.replace("teacher ", ""), *(value_cell(measured[c]) for c in COLUMNS)])
    return rows


def _external(external: Mapping) -> Table:
    levels = list(next(iter(external["rows"].values())))
    rows = [["method", *levels]]
    for row, measured in external["rows"].items():
        cells = [value_cell(measured.get(level, {}).get("macro_auc")) for level in levels]
        rows.append([external["labels"].get(row, row), *cells])
    return rows


def row_name(row: str) -> str:
    """'kd/large' -> 'KD (logits), teacher of the whole pool'."""
    method, teacher = row.split("/")
    if method == "none":
        return label_of(method)
    label = {"same": "teacher of the same patients", "large": "teacher of the whole pool"}[teacher]
    return f"{label_of(method)}, {label}"


def _primary(nodes: Mapping) -> Table:
    rows = [
        ["patients", "difference", "teacher", "subsets", "CT", "p", "CT, another annotator's masks", "PET", "PET + CT"]
    ]
    for size, measured in nodes["sizes"].items():
        for name, found in measured["differences"].items():
            left, right = (part.split("/") for part in name.split(" - "))
            label = f"{label_of(left[0])} - {label_of(right[0])}"
            teacher = {"same": "same patients", "large": "whole pool"}[left[1]]
            first = right[0] == RIVAL and left[0] in ON_NODES  # the pre-registered ones
            ct = found["ct"]
            rows.append(
                [
                    size, f"**{label}**" if first else label, teacher, _subsets(ct) if ct else "-",
                    difference_cell(ct), p_cell(ct["p"]) if ct else "-", difference_cell(found.get("ct_masks1")),
                    difference_cell(found["fdg+acetate"]), difference_cell(found["ct+fdg+acetate"]),
                ]
            )  # fmt: skip
    return rows


def _subsets(found: Mapping) -> str:
    """'20', or '20 (16 % in common)': the number of subsets, and the share of patients that two have in common."""
    share = found.get("shared", 0)
    return f"{found['runs']} ({100 * share:.0f} % in common)" if share else str(found["runs"])


def _node_means(nodes: Mapping) -> Table:
    rows = [["patients", "method", "CT", "CT, another annotator's masks", "PET", "PET + CT", "chosen"]]
    for size, measured in nodes["sizes"].items():
        for row, own in measured["auc"].items():
            cells = [
                f"{mean(own[c]):.3f}" if own.get(c) else "-"
                for c in ("ct", "ct_masks1", "fdg+acetate", "ct+fdg+acetate")
            ]
            edges = measured.get("at_edge", {}).get(row, [])
            values = measured["chosen"].get(row, {}).items()
            chosen = ", ".join(f"{k} {v:g}{' (edge)' if k in edges else ''}" for k, v in values)
            rows.append([size, row_name(row), *cells, chosen])
    limit = nodes["limit"]
    rows.append(
        ["", LIMIT, f"{limit['ct']:.3f}", "", f"{limit['fdg+acetate']:.3f}", f"{limit['ct+fdg+acetate']:.3f}", ""]
    )
    return rows


def main_ways(found: Mapping) -> dict:
    """From `named_table`, all methods for the teacher and for region scores; for other students, contributions only."""
    whole = ("teacher: ", f"{label_of(SCORES)} (teacher of the pool): ", CHANCE, DECIDING_LIMIT)

    def shown(name: str) -> bool:
        return name.startswith(whole) or name.endswith((WAYS["contribution"], WAYS["severity"]))

    inputs = {i: {name: own for name, own in ways.items() if shown(name)} for i, ways in found["inputs"].items()}
    return {**found, "inputs": inputs}


def map_of(results: Mapping) -> list[dict]:
    """Return one entry for each arm, for the smallest size: 'arm', 'h' (None for the independent biology), 'drawn'
    (True for generated phantoms), and 'gains': (method, teacher) -> difference to logits alone on CT.
    """
    out = []
    for arm, nodes in (entry for part in ("map", "nodes") for entry in results.get(part, {}).items()):
        differences = nodes["sizes"][min(nodes["sizes"], key=int)]["differences"]
        gains = {
            (method, teacher): found["ct"]
            for method in (OURS, SCORES)
            for teacher in ("same", "large")
            if (found := differences.get(f"{method}/{teacher} - {RIVAL}/{teacher}"))
            and found["ct"]
            and found["ct"]["difference"] is not None
        }
        h = None if arm == "independent" else float(arm.partition("-")[2] or HETEROGENEITY)
        out.append({"arm": arm, "h": h, "drawn": nodes["drawn"], "gains": gains})
    return sorted(out, key=lambda entry: 2.0 if entry["h"] is None else entry["h"])


def _map(entries: list[dict]) -> Table:
    columns = [(m, t) for m in (OURS, SCORES) for t in ("same", "large")]
    words = {"same": "teacher of the same patients", "large": "teacher of the whole pool"}
    rows = [["biology, h", *(f"{label_of(m)} - {label_of(RIVAL)}, {words[t]}" for m, t in columns)]]
    for entry in entries:
        name = entry["arm"] if entry["h"] is None else f"shared, {entry['h']:g}"
        name += " (drawn phantoms)" if entry["drawn"] else ""
        rows.append([name, *(difference_cell(entry["gains"].get(column)) for column in columns)])
    return rows
