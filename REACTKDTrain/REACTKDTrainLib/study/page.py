"""A page with a study's tables, and a comparison with the paper: orderings and gaps only, because the data differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.json_once import parse_json
from REACTKDTrainLib.results.pages import fill_page
from REACTKDTrainLib.results.tables import markdown
from REACTKDTrainLib.study.results import LIMIT, OURS, RIVAL
from REACTKDTrainLib.study.study import caption_of
from REACTKDTrainLib.study.tables import tables_of

#: macro AUC of arXiv 2508.02104, in percent, as stated in its abstract, tables and figures
PAPER = {"PET + CT": 93.5, "PET": 86.2, "CT": 83.3, "native": 81.5, "severe": 76.6}
OURS_OF = {"PET + CT": "ct+fdg+acetate", "PET": "fdg+acetate", "CT": "ct"}


def insert_tables(study: Path, page: Path) -> list[str]:
    """Put each table of a study's results.json between `<!-- study:NAME -->` and `<!-- /study -->` of a page.

    'caption' describes the study, 'paper' is the comparison with the paper. Returns the names without results, for
    which the page says "not run". Raises: UsageError for a folder without results or a page without markers.
    """
    try:
        results = parse_json((Path(study) / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"There is no results.json in {Path(study).name}; run the study first.") from error
    texts = {name: f"**{title}**\n\n{markdown(table)}" for name, (title, table) in tables_of(results).items()}
    texts |= {"caption": caption_of(results), "paper": markdown(comparison(results))}
    return fill_page(page, "study", texts)


def comparison(results: Mapping) -> list[list[str]]:
    """Return rows: quantity, the paper, this study."""
    kind = "digital phantoms" if results["study"]["digital_phantom"] else "patients"
    rows = [["what", "the paper (patients)", f"this study ({kind})"]]
    methods = results.get("methods", {}).get("rows", {})
    auc = {k: _auc(methods.get(OURS), v) for k, v in OURS_OF.items()}
    limit = {k: _auc(methods.get(LIMIT), v) for k, v in OURS_OF.items()}
    for name in OURS_OF:
        value = "-" if auc[name] is None else f"{100 * auc[name]:.1f}"
        bound = "" if limit[name] is None else f" (limit {100 * limit[name]:.1f})"
        rows.append([f"REACT-KD, {name}, AUC", f"{PAPER[name]:.1f}", value + bound])
    rows.append(["gap PET + CT to CT", f"{PAPER['PET + CT'] - PAPER['CT']:+.1f}", _gap(auc["PET + CT"], auc["CT"])])
    rows.append(["gap PET to CT", f"{PAPER['PET'] - PAPER['CT']:+.1f}", _gap(auc["PET"], auc["CT"])])
    rows.append(["ordering of inputs", "PET + CT > PET > CT", _ordering(auc)])
    own = _auc(methods.get(OURS), "ct")
    rows.append(
        ["REACT-KD - KD (logits)", "ahead; interval not given", _gap(own, _auc(methods.get(RIVAL), "ct")) + " on CT"]
    )
    others = {m: _auc(t, "ct") for m, t in methods.items() if m not in (OURS, LIMIT)}
    ahead = sorted((m for m, v in others.items() if v is not None and own is not None and v > own))
    names = "-" if own is None or not others else (", ".join(ahead) if ahead else "none")
    rows.append(["methods above REACT-KD on CT", "none (AWMT-KD 0.1 below it, all images)", names])
    external = results.get("external", {}).get("rows", {}).get(OURS, {})
    dose = {k: external[k]["macro_auc"]["value"] for k in ("native", "severe") if k in external}
    fall = _gap(dose.get("severe"), dose.get("native"))
    rows.append(["external CT, severe - native dose", f"{PAPER['severe'] - PAPER['native']:+.1f}", fall])
    return rows


def _auc(row: Mapping | None, inputs: str) -> float | None:
    return None if not row or not row.get(inputs) else row[inputs]["macro_auc"]["value"]


def _gap(a: float | None, b: float | None) -> str:
    return "-" if a is None or b is None else f"{100 * (a - b):+.1f}"


def _ordering(auc: Mapping[str, float | None]) -> str:
    if any(v is None for v in auc.values()):
        return "-"
    return " > ".join(sorted(auc, key=lambda k: -auc[k]))
