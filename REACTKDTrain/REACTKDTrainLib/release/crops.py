"""Training the encoder on lesion crops: batches, augmentation, the step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.distillation.losses import focal_loss, masked_mse, random_presence
from REACTKDTrainLib.release.extract import CROP, POOL
from REACTKDTrainLib.release.heads import latent_visibility, standardize_latents, table_logits
from REACTKDTrainLib.release.tables import LATENTS, MODALITIES, Table

_EDGE = (CROP - POOL) // 2


@dataclass(frozen=True)
class CropRecipe:
    """How the encoder is trained. steps are of `batch` cases, one random lesion crop each."""

    steps: int = 600
    batch: int = 24
    rate: float = 3e-3
    decay: float = 1e-2
    gamma: float = 2.0
    auxiliary: float = 1.0
    modality_dropout: float = 0.3
    shift: float = 0.1
    seed: int = 0


@dataclass(frozen=True, eq=False)
class CropBatch:
    """images: (B, 3, 40, 40, 40); masks: (B, 2, 32, 32, 32), parenchyma and one lesion; rows: (B,) into the table."""

    images: Tensor
    masks: Tensor
    rows: Tensor
    lesion: Tensor


def draw_batch(table: Table, size: int, shift: float, draw: torch.Generator) -> CropBatch:
    """Draw crops; mirror and turn each (one of 48 ways, images and masks alike) and shift its modalities' levels."""
    picked = torch.randint(len(table.owner), (size,), generator=draw)
    images, masks = [], []
    for n in picked.tolist():
        image = torch.from_numpy(table.images[n]).float()
        mask = torch.from_numpy(table.masks[n]).float() / 255
        axes = [1 + a for a in torch.randperm(3, generator=draw).tolist()]
        flips = [1 + a for a in range(3) if torch.rand(1, generator=draw) < 0.5]
        images.append(image.permute(0, *axes).flip(flips) if flips else image.permute(0, *axes))
        masks.append(mask.permute(0, *axes).flip(flips) if flips else mask.permute(0, *axes))
    stacked = torch.stack(images) + shift * torch.randn(size, 3, 1, 1, 1, generator=draw)
    return CropBatch(stacked, torch.stack(masks), table.owner[picked], table.lesion[picked])


def crop_levels(student: Student, batch: CropBatch, modalities: dict[str, Tensor]) -> list[Tensor]:
    """Fused maps of the inner part of the crops at each level; absent branches are not computed: (B, C_l, ...)."""
    fused: list[Tensor] | None = None
    for m, name in enumerate(MODALITIES):
        rows = torch.nonzero(modalities[name] > 0).flatten()
        if not len(rows):
            continue
        inner = slice(_EDGE, _EDGE + POOL)
        bands = gaussian_bands(batch.images[rows, m : m + 1])[..., inner, inner, inner]
        levels = student.encoders(name, bands.contiguous(memory_format=torch.channels_last_3d))
        if fused is None:
            fused = [x.new_zeros((len(batch.rows), *x.shape[1:])) for x in levels]
        fused = [f.index_add(0, rows, x) for f, x in zip(fused, levels, strict=True)]
    return fused


def crop_nodes(levels: list[Tensor], masks: Tensor, spread: bool) -> Tensor:
    """Moments of the fused maps over the crop's parenchyma and lesion: (B, 2, F). The batched form of `fused_nodes`."""
    parts = []
    for n, level in enumerate(levels):
        if n:
            masks = F.avg_pool3d(masks, 2)
        x, w = level.flatten(2), masks.flatten(2)
        w = w / w.sum(dim=2, keepdim=True).clamp_min(1e-6)
        mean = torch.einsum("bnv,bcv->bnc", w, x)
        center = mean.mean(dim=1)[..., None].detach()
        shifted = x - center
        first = torch.einsum("bnv,bcv->bnc", w, shifted)
        variance = torch.einsum("bnv,bcv->bnc", w, shifted.square()) - first.square()
        parts.append(mean)
        if spread:
            parts.append(torch.log(variance.clamp_min(0).add(1e-8).sqrt() + 0.01))
    return torch.cat(parts, dim=2)


def _fixed_pair(fixed: dict[str, Tensor], batch: CropBatch) -> dict[str, Tensor]:
    """Fixed vectors of the parenchyma and of the crop's lesion, from the whole volume: modality -> (B, 2, Q)."""
    return {m: torch.stack([v[batch.rows, 0], v[batch.rows, batch.lesion + 1]], dim=1) for m, v in fixed.items()}


def train_encoder(student: Student, table: Table, recipe: CropRecipe, report=None) -> Student:
    """Train the whole student on crops. `report(step, loss)` is called every 20 steps.

    The scales of the encoder's moments are set from the first batches, before training.
    """
    torch.manual_seed(recipe.seed)
    draw = torch.Generator().manual_seed(recipe.seed)
    fixed = table.fixed_blocks(student.config.blocks)
    target = standardize_latents(table.latents, table.latents)
    regress = nn.Linear(student.config.hidden, len(LATENTS))
    both = torch.ones(recipe.batch, 2, dtype=torch.bool)
    parameters = [*student.parameters(), *regress.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=recipe.steps, pct_start=0.15)
    with torch.no_grad():
        batch = draw_batch(table, 64, 0.0, draw)
        nodes = crop_nodes(
            crop_levels(student, batch, {m: torch.ones(64) for m in MODALITIES}), batch.masks, student.config.spread
        )
        student.fused_scale.fit([student.relative(nodes)[:, 1]])
    student.train()
    running = None
    for step in range(recipe.steps):
        batch = draw_batch(table, recipe.batch, recipe.shift, draw)
        modalities = random_presence(recipe.batch, MODALITIES, recipe.modality_dropout, draw)
        nodes = crop_nodes(crop_levels(student, batch, modalities), batch.masks, student.config.spread)
        logits, h = table_logits(
            student, _fixed_pair(fixed, batch), nodes, both, table.topology[batch.rows], modalities
        )
        loss = focal_loss(logits, table.grade[batch.rows], recipe.gamma)
        regression = masked_mse(regress(h[:, 1]), target[batch.rows], latent_visibility(modalities))
        optimizer.zero_grad()
        (loss + recipe.auxiliary * regression).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        now = torch.stack([loss.detach(), regression.detach()])
        running = now if running is None else 0.97 * running + 0.03 * now
        if report is not None and step % 20 == 19:
            report(step + 1, running.tolist())
    return student.eval()
