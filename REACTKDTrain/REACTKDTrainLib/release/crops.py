"""Crops around lesions: cut out of prepared patients, kept by content, drawn in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.data.case import PreparedCase
from REACTKDTrainLib.nodes.node_store import NodeCase, NodeStore, node_case
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.release.recipe import CropRecipe

FORMAT = "reactkd-crops/1"


@dataclass(frozen=True)
class CropStore:
    """Crops and fixed node vectors of patients in one folder. nodes: how these are made; its folder is not used."""

    files: ContentStore
    nodes: NodeStore
    recipe: CropRecipe

    def key(self, case: CohortCase) -> str:
        """A hash of all that a patient's file depends on."""
        return content_key(f"{FORMAT} {self.nodes.key(case)} {self.recipe}")

    def make(self, case: CohortCase) -> None:
        """Prepare a patient, cut the crops, keep them, if that was not done before."""
        if not self.files.has(self.key(case)):
            prepared = self.nodes.prepared.make(case)
            with torch.inference_mode():
                self.files.put(self.key(case), self.nodes.arrays_of(prepared) | self._crops(prepared))

    def _crops(self, case: PreparedCase) -> dict[str, np.ndarray]:
        images = torch.stack([self.nodes.window(x) if m == "ct" else x for m, x in case.images.items()])
        occupancy = case.masks[0].occupancy
        found = [crop_of(images, occupancy, n, self.recipe) for n in range(min(len(occupancy) - 1, self.recipe.most))]
        return {name: np.stack(parts) for name, parts in zip(("images", "masks"), zip(*found))}

    def load(self, cases: Sequence[CohortCase]) -> Crops:
        """All crops of these patients, in memory."""
        images, masks, owner, lesion, nodes = [], [], [], [], []
        for row, case in enumerate(cases):
            arrays = self.files.get(self.key(case))
            count = len(arrays["images"])
            images.append(arrays.pop("images"))
            masks.append(arrays.pop("masks"))
            owner += [row] * count
            lesion += range(count)
            nodes.append(node_case(arrays, case, self.nodes.key(case)))
        return Crops.of(nodes, np.concatenate(images), np.concatenate(masks), owner, lesion)


def crop_of(images: Tensor, occupancy: Tensor, lesion: int, recipe: CropRecipe) -> tuple[np.ndarray, np.ndarray]:
    """A crop around a lesion (from 0): images (3, size^3) float16, its edge repeated beyond theirs; masks of the inner
    cube (2, pooled^3) uint8, parenchyma and this lesion.
    """
    weight = occupancy[lesion + 1]
    grid = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in weight.shape), indexing="ij"))
    center = (grid * weight).sum(dim=(1, 2, 3)) / weight.sum().clamp_min(1e-6)
    low = np.rint(center.numpy()).astype(int) - recipe.size // 2
    source = tuple(slice(max(a, 0), min(a + recipe.size, n)) for a, n in zip(low, weight.shape, strict=True))
    target = tuple(slice(s.start - a, s.stop - a) for s, a in zip(source, low, strict=True))
    pad = [p for t in reversed(target) for p in (t.start, recipe.size - t.stop)]
    cut = F.pad(images[(slice(None), *source)][None], pad, mode="replicate")[0]
    masks = F.pad(occupancy[[0, lesion + 1]][(slice(None), *source)], pad)
    inner = _inner(recipe)
    return cut.half().numpy(), torch.round(255 * masks[:, inner, inner, inner]).to(torch.uint8).numpy()


def _inner(recipe: CropRecipe) -> slice:
    edge = (recipe.size - recipe.pooled) // 2
    return slice(edge, edge + recipe.pooled)


@dataclass(frozen=True, eq=False)
class Crops:
    """images: (C, 3, size^3) float16; masks: (C, 2, pooled^3) uint8. owner, lesion: (C,), which patient of `table` and
    which of its lesions, from 0, each shows.
    """

    table: NodeTable
    images: np.ndarray
    masks: np.ndarray
    owner: Tensor
    lesion: Tensor

    def __len__(self) -> int:
        return len(self.owner)

    @classmethod
    def of(cls, cases: Sequence[NodeCase], images: np.ndarray, masks: np.ndarray, owner, lesion) -> Crops:
        """Crops of patients whose node vectors these are."""
        return cls(NodeTable.of(cases), images, masks, torch.tensor(owner), torch.tensor(lesion))

    def drawn(self, index: Tensor, shift: float, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images (B, 3, ...) and masks (B, 2, ...) of crops, each mirrored and turned in one of 48 ways, images and
        masks alike, and each image's level shifted.
        """
        images, masks = [], []
        for n in index.tolist():
            axes = [1 + a for a in torch.randperm(3, generator=draw).tolist()]
            flips = [1 + a for a in range(3) if torch.rand(1, generator=draw) < 0.5]
            for out, part in ((images, self.images[n]), (masks, self.masks[n])):
                out.append(torch.from_numpy(part).float().permute(0, *axes).flip(flips))
        levels = shift * torch.randn(len(index), 3, 1, 1, 1, generator=draw)
        return torch.stack(images) + levels, torch.stack(masks) / 255


def crop_moments(
    student: Student, images: Tensor, masks: Tensor, presence: Mapping[str, Tensor], recipe: CropRecipe
) -> Tensor:
    """Moments of the fused maps over parenchyma and lesion of crops: (B, 2, F). The batched form of `fused_nodes`.

    images: (B, 3, size^3); masks: (B, 2, pooled^3), from `Crops.drawn`. presence: modality -> (B,) 0 or 1.

    Branches that are absent are not computed. Nothing in the encoder pools over its input, so moments are those of the
    whole volume wherever the crop holds the receptive field.
    """
    fused: list[Tensor] | None = None
    inner = _inner(recipe)
    for m, name in enumerate(MODALITIES):
        rows = torch.nonzero(presence[name] > 0).flatten()
        if not len(rows):
            continue
        bands = gaussian_bands(images[rows, m : m + 1])[..., inner, inner, inner]
        levels = student.encoders(name, bands.contiguous(memory_format=torch.channels_last_3d))
        fused = [x.new_zeros((len(images), *x.shape[1:])) for x in levels] if fused is None else fused
        fused = [f.index_add(0, rows, x) for f, x in zip(fused, levels, strict=True)]
    parts = []
    for n, level in enumerate(fused):
        masks = F.avg_pool3d(masks, 2) if n else masks
        x, w = level.flatten(2), masks.flatten(2)
        w = w / w.sum(dim=2, keepdim=True).clamp_min(1e-6)
        mean = torch.einsum("bnv,bcv->bnc", w, x)
        shifted = x - mean.mean(dim=1)[..., None].detach()
        first = torch.einsum("bnv,bcv->bnc", w, shifted)
        variance = torch.einsum("bnv,bcv->bnc", w, shifted.square()) - first.square()
        parts += [mean, torch.log(variance.clamp_min(0).add(1e-8).sqrt() + 0.01)][: 2 if student.config.spread else 1]
    return torch.cat(parts, dim=2)
