"""Crops around lesions: cut from prepared patients, stored by content, loaded in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.one_thread import one_thread
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.data.case import PreparedCase
from REACTKDTrainLib.nodes.node_store import NodeCase, NodeStore, subset_moments
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.release.recipe import CropRecipe

FORMAT = "reactkd-crops/2"  # 2 stores the node vectors in separate files


@dataclass(frozen=True)
class CropStore:
    """Crops of patients in one folder. nodes: store of their node vectors; a patient is simulated once for both."""

    files: ContentStore
    nodes: NodeStore
    recipe: CropRecipe

    def key(self, case: CohortCase) -> str:
        """Return a hash of everything that a patient's file depends on."""
        return content_key(f"{FORMAT} {self.nodes.key(case)} {self.recipe}")

    def make(self, case: CohortCase) -> None:
        """Prepare a patient, cut the crops, store them and the node vectors, unless that was done before."""
        if not self.made(case):
            with one_thread(), torch.inference_mode():
                prepared = self.nodes.prepared.make(case)
                self.nodes.files.put(self.nodes.key(case), self.nodes.arrays_of(prepared))
                self.files.put(self.key(case), self._crops(prepared))

    def made(self, case: CohortCase) -> bool:
        """Return True if the files of a patient exist."""
        return self.nodes.path(case).exists() and self.files.path(self.key(case)).exists()

    def _crops(self, case: PreparedCase) -> dict[str, np.ndarray]:
        images = torch.stack([self.nodes.window(x) if m == "ct" else x for m, x in case.images.items()])
        occupancy = case.masks[0].occupancy
        found = [crop_of(images, occupancy, n, self.recipe) for n in range(min(len(occupancy) - 1, self.recipe.most))]
        return {name: np.stack(parts) for name, parts in zip(("images", "masks"), zip(*found))}

    def load(self, cases: Sequence[CohortCase]) -> Crops:
        """Load all crops of these patients into memory; missing ones are computed."""
        images, masks, owner, lesion, nodes = [], [], [], [], []
        for row, case in enumerate(cases):
            self.make(case)
            arrays = self.files.get(self.key(case))
            count = len(arrays.get("images", ()))
            if count:
                images.append(arrays["images"])
                masks.append(arrays["masks"])
            owner += [row] * count
            lesion += range(count)
            nodes.append(self.nodes.get(case))
        return Crops.of(nodes, np.concatenate(images), np.concatenate(masks), owner, lesion)


def crop_of(images: Tensor, occupancy: Tensor, lesion: int, recipe: CropRecipe) -> tuple[np.ndarray, np.ndarray]:
    """Return a crop around a lesion (from 0): images (3, size^3) float16 with edge padding; masks of the inner cube
    (2, pooled^3) uint8, parenchyma and this lesion.
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
    """images: (C, 3, size^3) float16; masks: (C, 2, pooled^3) uint8. owner, lesion: (C,), the patient of `table` and
    the lesion (from 0) that each crop shows.
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
        """Build from the node vectors and crops of patients."""
        return cls(NodeTable.of(cases), images, masks, torch.tensor(owner), torch.tensor(lesion))

    def drawn(self, index: Tensor, shift: float, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return images (B, 3, ...) and masks (B, 2, ...) of crops, both transformed by one of the 48 symmetries of the
        cube, with a random constant added to each image.
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

    Absent branches are not computed. The encoder contains no pooling over its whole input, so the moments equal those
    of the whole volume wherever the crop contains the receptive field.
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


@torch.no_grad()
def table_with_moments(student: Student, crops: Crops, recipe: CropRecipe) -> NodeTable:
    """Return the table of the crops' patients with the encoder's moments over the expert's masks, as far as crops show
    them.

    The parenchyma has the mean of what is around the lesions; a lesion without a crop has the mean of the others. This
    decides whether the encoder is useful without preparing patients again; the shipped student uses whole volumes.
    """
    student.eval()
    table, inner = crops.table, _inner(recipe)
    found: dict[str, list[Tensor]] = {}
    for images, masks in zip(crops.images, crops.masks, strict=True):
        levels = {}
        for m, name in enumerate(MODALITIES):
            bands = gaussian_bands(torch.from_numpy(images[m]).float()[None, None])[..., inner, inner, inner]
            levels[name] = [level[0] for level in student.encoders(name, bands.contiguous())]
        for subset, value in subset_moments(levels, torch.from_numpy(masks).float() / 255).items():
            found.setdefault(subset, []).append(value)
    count = torch.bincount(crops.owner, minlength=len(table)).clamp_min(1)[:, None]
    fused = {}
    for subset, parts in found.items():
        both = torch.stack(parts)
        sums = both.new_zeros((len(table), *both.shape[1:])).index_add(0, crops.owner, both) / count[..., None]
        out = sums[:, 1:].expand(-1, table.rows.shape[2], -1).clone()
        out[:, 0] = sums[:, 0]
        out[crops.owner, crops.lesion + 1] = both[:, 1]
        fused[subset] = (out * table.rows[0][..., None])[None]
    return replace(table, fused=fused)
