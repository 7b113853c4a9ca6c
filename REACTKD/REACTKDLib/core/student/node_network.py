"""From node vectors to a grade: the part that students and the teachers' heads share, for one case or a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDLib.core.student.head import AttentionHead, Decision

_CUT = 6.0  # larger standardized values come from artifacts, not from tissue


@dataclass(frozen=True, eq=False)
class NodeBatch:
    """Node vectors of B cases, padded to n nodes; without B in every shape, one unpadded case.

    topology: (B, 7). fixed: image -> (B, n, Q), the vectors without learned parameters; learned: (B, n, F), the moments
    of feature maps, or None if there are none. present: image -> (B,) 1 or 0, the cases that have it; None: all have
    all. rows: (B, n) bool, the nodes that are not padding; None: all. seen: (B, n) bool, those that the head sees;
    None: all of `rows`. Node 0 of a case is its parenchyma.
    """

    topology: Tensor
    fixed: Mapping[str, Tensor] = field(default_factory=dict)
    learned: Tensor | None = None
    present: Mapping[str, Tensor] | None = None
    rows: Tensor | None = None
    seen: Tensor | None = None

    @property
    def nodes(self) -> int:
        """The padded number of nodes, n."""
        some = next(iter(self.fixed.values()), None) if self.learned is None else self.learned
        return (self.rows.unsqueeze(-1) if some is None else some).shape[-2]

    @property
    def counts(self) -> list[int]:
        """Number of nodes of each case."""
        return [self.nodes] * len(self.topology) if self.rows is None else self.rows.sum(dim=1).tolist()

    def per_case(self, values: Tensor) -> list[Tensor]:
        """Return (B, n, ...) without padding: one tensor (n_b, ...) for each case."""
        return [values[row, :count] for row, count in enumerate(self.counts)]


class Standardize(nn.Module):
    """(x - mean) / scale with constants from the training cases, kept as buffers; values are clipped at +-6."""

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def fit(self, x: Sequence[Tensor]) -> None:
        """Fit the constants to rows (N, size), given in parts; with fewer than two rows they are unchanged."""
        rows = torch.cat(list(x)) if len(x) else self.mean[None, :0]
        if len(rows) > 1:
            self.mean.copy_(rows.mean(dim=0))
            self.scale.copy_(rows.std(dim=0).clamp_min(1e-3))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.scale).clamp(-_CUT, _CUT)


def relative(nodes: Tensor) -> Tensor:
    """Append each node's difference to the parenchyma (node 0): (..., n, Q) -> (..., n, 2 Q)."""
    return torch.cat([nodes, nodes - nodes[..., :1, :]], dim=-1)


class NodeNetwork(nn.Module):
    """Embeds each node, weights the nodes by attention, and adds up their contributions to the logits.

    h_i = mix(kind_i + learned part + sum over images of W_m drop(standardize(v_i, v_i - v_0))), the topology node is
    embedded in the same way from its own vector; `AttentionHead` follows. A subclass calls `_make_layers` and defines
    the learned part.
    """

    difference = True  # nodes include their difference to the parenchyma

    def _make_layers(
        self, images: Sequence[str], fixed_size: int, topology: int, hidden: int, classes: int, drop: nn.Module
    ) -> None:
        """Create all layers except the learned part.

        fixed_size: Q, 0 for none; topology: length of that node's vector.
        """
        size = fixed_size * (2 if self.difference else 1)
        images = images if size else ()
        self.fixed_scale = nn.ModuleDict({m: Standardize(size) for m in images})
        self.fixed_in = nn.ModuleDict({m: nn.Linear(size, hidden) for m in images})
        self.topology_scale = Standardize(topology)
        self.topology_in = nn.Linear(topology, hidden)
        self.kind = nn.Parameter(torch.zeros(2, hidden))
        self.drop = drop
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.head = AttentionHead(hidden, classes)

    def embed_learned(self, learned: Tensor) -> Tensor:
        """Return the part of the embeddings (..., n, hidden) that comes from moments of feature maps (..., n, F)."""
        raise NotImplementedError

    def relative(self, nodes: Tensor) -> Tensor:
        """Append the differences to the parenchyma if this network uses them: (..., n, Q) -> (..., n, Q or 2 Q)."""
        return relative(nodes) if self.difference else nodes

    def embed(self, batch: NodeBatch) -> Tensor:
        """Return region embeddings (..., n, hidden).

        A missing image adds nothing, rather than zeros passed through a layer.
        """
        total = self.kind[[0] + [1] * (batch.nodes - 1)]
        if batch.learned is not None:
            total = total + self.embed_learned(batch.learned)
        for name, nodes in batch.fixed.items() if self.fixed_in else ():
            part = self.fixed_in[name](self.drop(self.fixed_scale[name](self.relative(nodes))))
            total = total + (part if batch.present is None else part * batch.present[name][..., None, None])
        return self.mix(total)

    def embed_topology(self, topology: Tensor) -> Tensor:
        """Embed the topology: (..., 7) -> (..., hidden)."""
        return self.mix(self.topology_in(self.drop(self.topology_scale(topology))))

    def forward_nodes(self, batch: NodeBatch) -> Decision:
        """Compute the logits from node vectors. This is the only path to the logits, in grading and in every training.

        The nodes of the returned decision are the regions, then the topology node.
        """
        nodes = torch.cat([self.embed(batch), self.embed_topology(batch.topology).unsqueeze(-2)], dim=-2)
        seen = batch.rows if batch.seen is None else batch.seen
        return self.head(nodes, None if seen is None else F.pad(seen, (0, 1), value=True))

    def fit_scales(self, batches: Iterable[NodeBatch]) -> None:
        """Set the standardization constants of fixed vectors and topology, from the lesions of training cases.

        Cases without an image do not count for it.
        """
        fixed: dict[str, list[Tensor]] = {name: [] for name in self.fixed_scale}
        topology = []
        for batch in batches:
            for name in fixed.keys() & batch.fixed.keys():
                fixed[name].append(self._of_lesions(batch, batch.fixed[name], name))
            topology.append(batch.topology)
        for name, rows in fixed.items():
            self.fixed_scale[name].fit(rows)
        self.topology_scale.fit(topology)

    def _of_lesions(self, batch: NodeBatch, vectors: Tensor, image: str = "") -> Tensor:
        """Return rows (lesions, Q or 2 Q) of vectors (B, n, Q), without padding and without cases that lack `image`."""
        there = torch.ones(vectors.shape[:2], dtype=torch.bool) if batch.rows is None else batch.rows
        if image and batch.present is not None:
            there = there & (batch.present[image] > 0)[:, None]
        return self.relative(vectors)[:, 1:][there[:, 1:]]
