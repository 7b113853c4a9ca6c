"""Ground truth of a phantom by region: latent variables of each lesion, and which lesion determines the grade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.phantom.biology_shared import SHOWN, LesionLatents, SharedLatents
from REACTKDLib.core.phantom.latents import DENSITIES
from REACTKDTrainLib.cohorts.base import CENTERS

#: biology -> the columns of `Truth.of_nodes`, and the images in which each is visible
COLUMNS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "independent": {"lesions": frozenset()}
    | {k: frozenset(m.value for m in by) for k, (_, _, by) in DENSITIES.items()},
    "shared": {"t": frozenset(of.seen.value for of in SHOWN.values())}
    | {k: frozenset({of.seen.value}) for k, of in SHOWN.items()},
}


@dataclass(frozen=True, eq=False)
class Truth:
    """latents: ten numbers of the whole patient (biology 'independent'), or those of each lesion ('shared').
    lesion_nodes: (L,) int64 of the shared biology, the expert's node that covers the center of each true lesion, 0 if
    none does; None if it was not recorded.

    Example:
        >>> truth = Truth(case.truth["shared"], torch.tensor([2, 1]))
        >>> truth.of_nodes(3)[1, 0], truth.deciding_node      # t of the expert's first lesion
    """

    latents: tuple[float, ...] | SharedLatents
    lesion_nodes: Tensor | None = None

    @property
    def biology(self) -> str:
        """'independent' or 'shared'."""
        return "shared" if isinstance(self.latents, SharedLatents) else "independent"

    @property
    def known(self) -> bool:
        """Return True if the latent variables of the regions are known."""
        return self.biology == "independent" or self.lesion_nodes is not None

    def of_nodes(self, nodes: int) -> Tensor:
        """(n, K) float32 of the expert's n nodes, with the K columns of `COLUMNS`; NaN if unknown.

        Shared: t and the eight latent variables of the lesion that the node covers; NaN for a node that covers several
        lesions, or none. Independent: the patient's latent variables, the same for every node.
        """
        if not isinstance(self.latents, SharedLatents):
            return torch.tensor(self.latents, dtype=torch.float32).expand(nodes, -1)
        out = torch.full((nodes, len(COLUMNS["shared"])), float("nan"))
        if self.lesion_nodes is not None:
            covered = torch.bincount(self.lesion_nodes, minlength=nodes)
            for node, lesion in zip(self.lesion_nodes.tolist(), self.latents.each, strict=True):
                if node and covered[node] == 1:
                    out[node] = torch.tensor(_shown(lesion))
        return out

    @property
    def deciding_node(self) -> int:
        """Return the expert's node that covers the lesion with the largest t, merged or not; 0 if there is none."""
        if not isinstance(self.latents, SharedLatents) or self.lesion_nodes is None or self.latents.deciding is None:
            return 0
        return int(self.lesion_nodes[self.latents.deciding])


def truth_of(of_case: Mapping | None, lesion_nodes: np.ndarray | None = None) -> Truth | None:
    """Build from `CohortCase.truth` and the stored nodes; None for a patient."""
    if of_case is None:
        return None
    nodes = None if lesion_nodes is None else torch.from_numpy(np.asarray(lesion_nodes, dtype=np.int64))
    return Truth(of_case["shared"], nodes) if "shared" in of_case else Truth(tuple(of_case["latents"]))


def units_of(latents: Sequence[tuple[float, ...] | SharedLatents]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (K,) of the columns, over patients (independent) or over all lesions (shared).

    Raises: UsageError for fewer than two, which have no standard deviation.
    """
    shared = isinstance(latents[0], SharedLatents)
    each = [_shown(lesion) for patient in latents for lesion in patient.each] if shared else latents
    if len(each) < 2:
        raise UsageError(
            f"The spread of the latents is not known of fewer than two {'lesions' if shared else 'patients'}; train on "
            "more phantoms, or set loss.auxiliary to 0."
        )
    rows = torch.tensor(each, dtype=torch.float32)
    return rows.mean(dim=0), rows.std(dim=0).clamp_min(1e-6)


def _shown(lesion: LesionLatents) -> list[float]:
    return [getattr(lesion, name) for name in COLUMNS["shared"]]


def lesion_nodes_of(case: Case, expert: RegionSet) -> np.ndarray | None:
    """(L,) int64: the region of `expert` that covers the center of each true lesion, 0 if none; None for a patient."""
    centers = case.derived.get(CENTERS)
    if centers is None:
        return None
    inverse, shape = np.linalg.inv(expert.ijk_to_ras), np.array(expert.labels.shape)
    found = np.zeros(len(centers), dtype=np.int64)
    for n, center in enumerate(centers):
        kji = np.rint((inverse @ [*center, 1.0])[2::-1]).astype(int)
        if (kji >= 0).all() and (kji < shape).all():
            found[n] = max(int(expert.labels[tuple(kji)]) - 1, 0)
    return found
