"""The student network: encode once, then pool and classify for each version of the masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.cbam import CBAM3D
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.encoder import REACH, Encoders
from REACTKDLib.core.student.head import Decision
from REACTKDLib.core.student.node_network import NodeBatch, NodeNetwork, Standardize
from REACTKDLib.core.student.pooling import (
    BLOCK_SIZES,
    NodeMasks,
    fixed_nodes,
    fused_nodes,
    remembered_fused_nodes,
)


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """The encoders' output for a case. It does not depend on masks, so it can be reused after every mask edit.

    images, bands: modality -> (D, H, W) and (5, D, H, W). levels: modality -> three projected maps (C_l, ...), only on
    the part `box` of the grid if one is given.
    """

    images: dict[str, Tensor]
    bands: dict[str, Tensor]
    levels: dict[str, list[Tensor]]
    box: Box | None = None

    def only(self, modalities: tuple[str, ...]) -> FeatureMaps:
        """Return the features as if only `modalities` had been given; nothing is encoded again."""
        parts = ({m: part[m] for m in modalities if m in part} for part in (self.images, self.bands, self.levels))
        return FeatureMaps(*parts, self.box)


@dataclass(frozen=True, eq=False)
class NodeVectors:
    """Node vectors of one case. fused: (n, F); fixed: modality -> (n, Q), only for the modalities present."""

    fused: Tensor
    fixed: dict[str, Tensor]


class Student(NodeNetwork):
    """The student network of REACT-KD; `StudentConfig` describes its options.

    `encode` never sees a mask; `pool` and `decide` are cheap and run again after each mask edit. `encoder_calls` counts
    the images encoded, so that a test can check that an edit encodes none.
    """

    def __init__(self, config: StudentConfig):
        super().__init__()
        self.config = config
        self.encoder_calls = 0
        self.difference = config.difference
        self.fixed_size = sum(BLOCK_SIZES[b] for b in config.blocks if b != "encoder")
        self.fused_size = sum(config.widths) * (2 if config.spread else 1) if "encoder" in config.blocks else 0
        if self.fused_size:
            size = self.fused_size * (2 if config.difference else 1)
            self.encoders = Encoders(config)
            self.cbam = CBAM3D(config.widths[-1], config.cbam_ratio, config.cbam_kernel) if config.cbam else None
            self.fused_scale = Standardize(size)
            self.fused_in = nn.Linear(size, config.hidden)
        self._make_layers(
            config.modalities, self.fixed_size, config.topology, config.hidden, config.classes,
            nn.Dropout(config.dropout),
        )  # fmt: skip

    def embed_learned(self, learned: Tensor) -> Tensor:
        """Embed the standardized moments of the fused maps."""
        return self.fused_in(self.drop(self.fused_scale(self.relative(learned))))

    def fit_learned_scale(self, batches: Iterable[NodeBatch]) -> None:
        """Set the standardization constants of the moments, from the lesions of training cases; see `fit_scales`."""
        self.fused_scale.fit([self._of_lesions(batch, batch.learned) for batch in batches])

    def encode(self, images: dict[str, Tensor], box: Box | None = None) -> FeatureMaps:
        """Encode images: modality -> (1, 1, D, H, W), a non-empty subset of the modalities.

        Raises: ValueError for others.

        box: part of the grid, with edges at multiples of 4 or at the grid's end. Levels are then returned only there,
        and what lies outside the receptive field is not computed. A student whose maps depend on the whole image
        (instance norm, CBAM) ignores it.
        """
        unknown = set(images) - set(self.config.modalities)
        if unknown or not images:
            raise ValueError(f"images must be a non-empty subset of {self.config.modalities}, not {sorted(images)}")
        if self.config.norm != "none" or self.config.cbam:
            box = None
        bands, levels = {}, {}
        for name, image in images.items():
            split = gaussian_bands(image)
            bands[name] = split[0]
            if self.fused_size:
                self.encoder_calls += 1
                near, inner = _within_reach(box, split.shape[2:])
                split = split[(..., *near)].to(memory_format=torch.channels_last_3d)
                levels[name] = [level[0] for level in self.encoders(name, split, inner)]
        return FeatureMaps({n: i[0, 0] for n, i in images.items()}, bands, levels, box)

    def fuse(self, features: FeatureMaps) -> list[Tensor]:
        """Sum the branches that are present at each level: three (C_l, ...); CBAM3D is applied to the coarsest, if
        configured.

        The coarsest level is that of the teachers' fused map, from which this CBAM3D is taken.
        """
        fused = [sum(group[1:], group[0]) for group in zip(*features.levels.values(), strict=True)]
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

        memos: caches for exactly these maps, by modality, and one called 'fused' for their fusion; lesions that have
        not changed since they were cached are not pooled again. This requires keys in the masks.
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

    def forward(
        self,
        images: dict[str, Tensor],
        regions: Tensor,
        topology: Tensor,
        shells: Tensor | Sequence[Tensor] = (),
        shape: Tensor | None = None,
    ) -> Tensor:
        """Logits (K,) of one case: `encode`, `pool` and `decide` in one call, for use by other programs.

        images: see `encode`. regions: (n, D, H, W) the fraction of each grid voxel in each region, the organ without
        its lesions first. topology: (7,), see `core.masks.topology`. shells: (6, D, H, W) of each lesion, if the nodes
        include radial profiles. shape: (n, 2), see `core.masks.topology.region_shape`, if they include it.
        """
        return self.decide(self.pool(self.encode(images), NodeMasks(regions, shells, shape=shape)), topology).logits

    def decide(self, nodes: NodeVectors, topology: Tensor) -> Decision:
        """Classify one case: `forward_nodes` on the output of `pool`. topology: (7,)."""
        return self.forward_nodes(NodeBatch(topology, nodes.fixed, nodes.fused if self.fused_size else None))


def _within_reach(box: Box | None, shape: Sequence[int]) -> tuple[Box, Box | None]:
    """Return the part of the grid that affects the maps inside `box`, and the position of the box in that part."""
    if box is None:
        return tuple(slice(0, n) for n in shape), None
    near = tuple(slice(max(b.start - REACH, 0), min(b.stop + REACH, n)) for b, n in zip(box, shape, strict=True))
    return near, tuple(slice(b.start - part.start, b.stop - part.start) for b, part in zip(box, near, strict=True))
