"""The student: encode once, pool per mask, decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from REACTKDLib.core.memo import Memo
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.cbam import CBAM3D
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.encoder import Encoders
from REACTKDLib.core.student.head import AttentionHead, Decision
from REACTKDLib.core.student.pooling import (
    BLOCK_SIZES,
    NodeMasks,
    fixed_nodes,
    fused_nodes,
    remembered_fused_nodes,
)


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """What the encoders made of a case; masks play no part in it, so it serves every later mask edit.

    images, bands: modality -> (D, H, W) and (5, D, H, W). levels: modality -> three projected maps (C_l, ...).
    """

    images: dict[str, Tensor]
    bands: dict[str, Tensor]
    levels: dict[str, list[Tensor]]

    def only(self, modalities: tuple[str, ...]) -> FeatureMaps:
        """The same case as if only `modalities` had been given; nothing is encoded again."""
        return FeatureMaps(
            *({m: part[m] for m in modalities if m in part} for part in (self.images, self.bands, self.levels))
        )


@dataclass(frozen=True, eq=False)
class NodeVectors:
    """Node vectors of one case. fused: (n, F); fixed: modality -> (n, Q), only the modalities present."""

    fused: Tensor
    fixed: dict[str, Tensor]


class Standardize(nn.Module):
    """(x - mean) / scale with constants from the training cases, kept as buffers; values are cut at +-6."""

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take constants from rows x (N, size)."""
        self.mean.copy_(x.mean(dim=0))
        self.scale.copy_(x.std(dim=0).clamp_min(1e-3))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.scale).clamp(-6, 6)


class Student(nn.Module):
    """REACT-KD's student. See `StudentConfig` for its choices.

    `encode` never sees a mask; `pool` and `decide` are cheap and run again at each mask edit. `encoder_calls` counts
    branch encodings, so a test can hold an edit to none.
    """

    def __init__(self, config: StudentConfig):
        super().__init__()
        self.config = config
        self.encoder_calls = 0
        double = 2 if config.difference else 1
        self.fixed_size = sum(BLOCK_SIZES[b] for b in config.blocks if b != "encoder")
        self.fused_size = sum(config.widths) * (2 if config.spread else 1) if "encoder" in config.blocks else 0
        if self.fused_size:
            self.encoders = Encoders(config)
            self.cbam = CBAM3D(config.widths[-1], config.cbam_ratio, config.cbam_kernel) if config.cbam else None
            self.fused_scale = Standardize(double * self.fused_size)
            self.fused_in = nn.Linear(double * self.fused_size, config.hidden)
        if self.fixed_size:
            self.fixed_scale = nn.ModuleDict({m: Standardize(double * self.fixed_size) for m in config.modalities})
            self.fixed_in = nn.ModuleDict(
                {m: nn.Linear(double * self.fixed_size, config.hidden) for m in config.modalities}
            )
        self.topology_scale = Standardize(config.topology)
        self.topology_in = nn.Linear(config.topology, config.hidden)
        self.kind = nn.Parameter(torch.zeros(2, config.hidden))
        self.drop = nn.Dropout(config.dropout)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(config.hidden, config.hidden), nn.GELU())
        self.head = AttentionHead(config.hidden, config.classes)

    def encode(self, images: dict[str, Tensor]) -> FeatureMaps:
        """images: modality -> (1, 1, D, H, W), a non-empty subset of the modalities. Raises: ValueError for others."""
        unknown = set(images) - set(self.config.modalities)
        if unknown or not images:
            raise ValueError(f"images must be a non-empty subset of {self.config.modalities}, not {sorted(images)}")
        bands, levels = {}, {}
        for name, image in images.items():
            split = gaussian_bands(image)
            bands[name] = split[0]
            if self.fused_size:
                self.encoder_calls += 1
                levels[name] = [level[0] for level in self.encoders(name, split)]
        return FeatureMaps({n: i[0, 0] for n, i in images.items()}, bands, levels)

    def fuse(self, features: FeatureMaps) -> list[Tensor]:
        """Sum the branches that are present at each level: three (C_l, ...); CBAM3D on the coarsest, where configured.

        The coarsest is the level of the teachers' fused map, whose CBAM3D this is.
        """
        fused = [torch.stack(group).sum(dim=0) for group in zip(*features.levels.values(), strict=True)]
        if self.cbam is not None:
            fused[-1] = self.cbam(fused[-1][None])[0]
        return fused

    def pool(
        self,
        features: FeatureMaps,
        masks: NodeMasks,
        fused: list[Tensor] | None = None,
        memos: Mapping[str, Memo] | None = None,
    ) -> NodeVectors:
        """Pool feature maps over the regions. `fused` replaces `fuse(features)` (for gradients through the maps).

        memos: of these very maps, by modality, and one of their fusion called 'fused'; lesions that have not changed
        since they were filled are not pooled again. The masks need keys then.
        """
        fixed = {
            name: fixed_nodes(
                features.images[name], features.bands[name], masks, self.config.blocks, memos[name] if memos else None
            )
            for name in features.images
        }
        if not self.fused_size:
            return NodeVectors(masks.occupancy.new_zeros((len(masks.occupancy), 0)), fixed)
        levels = self.fuse(features) if fused is None else fused
        if memos:
            return NodeVectors(remembered_fused_nodes(levels, masks, self.config.spread, memos["fused"]), fixed)
        return NodeVectors(fused_nodes(levels, masks.occupancy, self.config.spread), fixed)

    def _relative(self, nodes: Tensor) -> Tensor:
        """Append each node's difference to the parenchyma (node 0). (..., n, Q) -> (..., n, 2 Q)."""
        return torch.cat([nodes, nodes - nodes[..., :1, :]], dim=-1) if self.config.difference else nodes

    def embed(self, fused: Tensor, fixed: dict[str, Tensor], present: dict[str, Tensor] | None = None) -> Tensor:
        """Region embeddings. fused: (..., n, F); fixed: modality -> (..., n, Q); present: modality -> (...,) 0 or 1.

        A modality that is absent adds nothing, not zeros put through a layer. Returns (..., n, hidden).
        """
        total = self.kind[[0] + [1] * (fused.shape[-2] - 1)]
        if self.fused_size:
            total = total + self.fused_in(self.drop(self.fused_scale(self._relative(fused))))
        if self.fixed_size:
            for name, nodes in fixed.items():
                part = self.fixed_in[name](self.drop(self.fixed_scale[name](self._relative(nodes))))
                total = total + (part if present is None else part * present[name][..., None, None])
        return self.mix(total)

    def embed_topology(self, topology: Tensor) -> Tensor:
        """(..., 7) -> (..., hidden)."""
        return self.mix(self.topology_in(self.drop(self.topology_scale(topology))))

    def decide(self, nodes: NodeVectors, topology: Tensor) -> Decision:
        """Decide one case. topology: (7,). The nodes of the decision are the regions, then the topology node."""
        h = self.embed(nodes.fused, nodes.fixed)
        return self.head(torch.cat([h, self.embed_topology(topology)[None]]))
