"""Does an explanation identify the lesion that determined the grade? In the shared biology, the true lesion is known.

Evaluated on livers with several lesions, over the expert's masks. The references are chance and the exact limit: the
success rate of choosing the lesion with the highest posterior probability of being the deciding one, given images and
masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.phantom.posterior import deciding_posterior, evidence_of, lesion_table
from REACTKDTrainLib.data.limits import of_each_heterogeneity
from REACTKDTrainLib.data.truth import Truth
from REACTKDTrainLib.evaluation.faithfulness import mean_over_cases
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.results.figures import COLORS
from REACTKDTrainLib.results.tables import NOTHING, Table

CHANCE, LIMIT = "chance", "exact limit"
DRAWS = 1000


def deciding_limit(truths: Sequence[Truth], inputs: str, nodes: int) -> np.ndarray:
    """Probability (N, nodes) that each of the expert's nodes is the deciding one, given the images 'ct+fdg' and the
    masks.

    A node that covers two lesions has the sum of their probabilities; the parenchyma, node 0, has 0.
    """
    out = np.zeros((len(truths), nodes))
    for index, own, heterogeneity in of_each_heterogeneity([truth.latents for truth in truths]):
        evidence = evidence_of(lesion_table(own), inputs.split("+"), also=("ln_margin",))
        each = deciding_posterior(evidence, heterogeneity)
        for row, patient, found in zip(index, own, each, strict=True):
            np.add.at(out[row], truths[row].lesion_nodes.numpy(), found[: patient.lesions])
    out[:, 0] = 0
    return out


def has_known_deciding_lesion(table: NodeTable) -> np.ndarray:
    """(N,) bool: livers with several lesions in the expert's masks, one of which is known to be the deciding one."""
    lesions = table.rows[0].sum(dim=1) - 1
    return ((lesions > 1) & (table.deciding > 0)).numpy()


def deciding_result(table: NodeTable, named: Mapping[str, Mapping[str, Sequence[np.ndarray]]]) -> dict:
    """How often each method identifies the deciding lesion.

    named: inputs ('ct') -> 'network: method' -> for each network of that name, the nodes (N,) that it ranks first;
    results are means over the networks. Returns {'cases', 'inputs': inputs -> name -> 'all' and each grade ->
    `mean_over_cases`}; names include `CHANCE` and `LIMIT`.
    """
    asked, truth = has_known_deciding_lesion(table), table.deciding.numpy()
    grade = table.grade.numpy()[asked]
    lesions = (table.rows[0].sum(dim=1) - 1).numpy()[asked]
    chosen = [table.truth[n] for n in np.flatnonzero(asked)]
    out: dict = {"cases": int(asked.sum()), "inputs": {}}
    for inputs, ways in named.items():
        limit = deciding_limit(chosen, inputs, table.rows.shape[2]).argmax(axis=1) if chosen else np.zeros(0)
        hits = {name: np.mean([own[asked] == truth[asked] for own in each], axis=0) for name, each in ways.items()}
        out["inputs"][inputs] = counted(hits, lesions, (limit == truth[asked]).astype(float), grade)
    return out


def counted(hits: Mapping[str, np.ndarray], lesions: np.ndarray, limit: np.ndarray, grade: np.ndarray) -> dict:
    """name -> 'all' and each grade -> `mean_over_cases`, chance first and the limit last.

    hits: for each method (n,), 1 where it identified the deciding lesion; lesions: (n,), number of lesions of each
    liver; limit: (n,) hits of the most probable lesion; grade: (n,) the true one.
    """
    rows = {CHANCE: 1 / lesions, **hits, LIMIT: limit}
    return {name: _by_grade(np.asarray(values, dtype=float), grade) for name, values in rows.items()}


def _by_grade(values: np.ndarray, grade: np.ndarray) -> dict:
    groups = {"all": values, **{name: values[grade == n] for n, name in enumerate(GRADES)}}
    return {name: mean_over_cases(own.tolist(), DRAWS) for name, own in groups.items()}


def deciding_table(found: Mapping, heads: Mapping[str, str]) -> Table:
    """One row per name, one column per set of inputs, over the livers of all grades. heads: inputs -> heading."""
    own = found["inputs"]
    rows = [["the lesion named", *(heads[i] for i in own)]]
    names = dict.fromkeys(name for ways in own.values() for name in ways if name != LIMIT)
    for name in (*names, LIMIT):
        rows.append([name, *(share_cell(own[i][name]["all"]) if name in own[i] else NOTHING for i in own)])
    return rows


def whole_table(found: Mapping, inputs: str) -> Table:
    """One row per name: all livers, then those of each true grade, with one set of inputs."""
    rows = [["the lesion named", "all", *GRADES]]
    for name, own in found["inputs"][inputs].items():
        rows.append([name, *(share_cell(own[g]) for g in ("all", *GRADES))])
    return rows


def share_cell(found: Mapping) -> str:
    """'72 % (70-74)'."""
    if found["mean"] is None:
        return NOTHING
    low, high = (100 * v for v in found["interval95"])
    return f"{100 * found['mean']:.0f} % ({low:.0f}-{high:.0f})"


def draw_deciding(figure, found: Mapping, heads: Mapping[str, str]) -> None:
    """Draw a panel for each set of inputs: bars of the methods with 95 % intervals, chance and limit as lines."""
    own = found["inputs"]
    axes = np.atleast_1d(figure.subplots(1, len(own), sharey=True))
    names = [n for n in dict.fromkeys(n for ways in own.values() for n in ways) if n not in (CHANCE, LIMIT)]
    for axis, (inputs, ways) in zip(axes, own.items(), strict=True):
        known = [(place, ways[name]["all"]) for place, name in enumerate(names) if name in ways]
        mean = np.array([row["mean"] for _, row in known], dtype=float)
        low, high = np.array([row["interval95"] for _, row in known], dtype=float).T
        bars = {"xerr": [mean - low, high - mean], "color": COLORS[0], "height": 0.7, "capsize": 2}
        axis.barh([place for place, _ in known], mean, **bars)
        for name, style in ((CHANCE, ":"), (LIMIT, "--")):
            axis.axvline(ways[name]["all"]["mean"], color="0.3", linestyle=style, label=name)
        axis.set_title(heads[inputs], fontsize=10)
        axis.set(xlim=(0, 1), xlabel="share of livers")
    axes[0].set_yticks(range(len(names)), names, fontsize=6)
    axes[0].invert_yaxis()
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle(f"The deciding lesion is named ({found['cases']} livers with several lesions)", fontsize=11)
