"""The teachers' heads: the student's architecture from node vectors to the grade, one fused and one for each branch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from REACTKDLib.core.student.head import Decision
from REACTKDLib.core.student.node_network import NodeBatch, NodeNetwork
from REACTKDLib.core.student.pooling import BLOCK_SIZES, moments
from REACTKDTrainLib.models.outputs import GraphOutput, region_fields
from REACTKDTrainLib.models.sample_dropout import SampleDropout

PET = ("fdg", "acetate")
BRANCHES = ("structure_function", "dose")


class GraphHead(NodeNetwork):
    """Classify a graph of regions.

    width: channels of the map; inputs: names of the images whose fixed node vectors (n, fixed_size) are added; classes:
    K.
    """

    def __init__(self, width: int, inputs: tuple[str, ...], fixed_size: int, hidden: int, classes: int, dropout: float):
        super().__init__()
        self.inputs = inputs
        self.map_in = nn.Linear(4 * width, hidden)
        self._make_layers(inputs, fixed_size, 7, hidden, classes, SampleDropout(dropout))
        if fixed_size:  # the head may be trained on fixed vectors first; encoders then start with no effect
            nn.init.zeros_(self.map_in.weight)
            nn.init.zeros_(self.map_in.bias)

    def embed_learned(self, learned: Tensor) -> Tensor:
        """Embed the moments of the fused map, which is layer-normalized and needs no standardization constants."""
        return self.map_in(self.drop(self.relative(learned)))

    def own(self, batch: NodeBatch) -> NodeBatch:
        """Return the batch with only the images that this head reads, in its order."""
        return replace(batch, fixed={m: batch.fixed[m] for m in self.inputs if m in batch.fixed})

    def grade_map(self, level: Tensor, occupancy: Tensor, batch: NodeBatch) -> tuple[Decision, Tensor]:
        """Classify one case from a map (C, d, h, w) over regions (n, d, h, w) of its grid and the fixed vectors of
        `batch`.

        Returns the decision and the node means (n, C) (equation 3 of arXiv 2508.02104).
        """
        mean, spread = moments(level, occupancy)
        learned = torch.cat([mean, torch.log(spread + 0.01)], dim=1)
        return self.forward_nodes(replace(self.own(batch), learned=learned)), mean


class TeacherHeads(nn.Module):
    """Heads that classify from node vectors: 'fused' from all images, and one for each of `BRANCHES`.

    A subclass calls `_make_heads`. images: head -> names of the images that it reads; blocks: of fixed node vectors;
    width: channels of the map.
    """

    heads: nn.ModuleDict
    blocks: Sequence[str]

    def _make_heads(
        self, images: Mapping[str, tuple[str, ...]], blocks: Sequence[str], width: int, hidden: int, classes: int,
        dropout: float,
    ) -> None:  # fmt: skip
        self.blocks = blocks
        size = sum(BLOCK_SIZES[b] for b in blocks)
        self.heads = nn.ModuleDict(
            {name: GraphHead(width, own, size, hidden, classes, dropout) for name, own in images.items()}
        )

    def forward_nodes(self, batch: NodeBatch, seeds: Sequence[int] | None = None) -> GraphOutput:
        """Classify a batch from fixed node vectors alone; without maps, `nodes` are the region embeddings.

        seeds: (B,), seeds of dropout, one per case. A branch is NaN for cases that lack its images, and omitted if all
        lack them.
        """
        out: dict[str, Decision] = {}
        for name, head in self.heads.items():
            with nullcontext() if seeds is None else head.drop.armed(seeds, batch.counts):
                out[name] = head.forward_nodes(head.own(batch))
        known = {b: there for b, there in _known(batch).items() if there.any()}
        found = {name: region_fields(batch, decision) for name, decision in out.items()}

        def branches(kind: str) -> dict[str, list[Tensor | None]]:
            return {b: [x if k else None for x, k in zip(found[b][kind], known[b].tolist())] for b in known}

        return GraphOutput(
            out["fused"].logits,
            found["fused"]["embeddings"],
            [],
            out["fused"].summary,
            {b: out[b].logits.masked_fill(~there[:, None], float("nan")) for b, there in known.items()},
            branches("embeddings"),
            branch_scores=branches("scores"),
            branch_attention=branches("attention"),
            **found["fused"],
        )

    def fit_scales(self, batches: Iterable[NodeBatch]) -> None:
        """Set the standardization constants of all heads from the lesions of training cases in the expert's masks."""
        batches = list(batches)
        for head in self.heads.values():
            head.fit_scales(map(head.own, batches))


def _known(batch: NodeBatch) -> dict[str, Tensor]:
    """Branch -> (B,) bool, the cases that have its images: CT, and a tracer for 'structure_function'."""
    if batch.present is None:
        return {b: torch.ones(len(batch.topology), dtype=torch.bool, device=batch.topology.device) for b in BRANCHES}
    ct = batch.present["ct"] > 0
    tracers = torch.stack([batch.present[m] for m in PET if m in batch.present]).amax(dim=0) > 0
    return {"structure_function": ct & tracers, "dose": ct}
