"""Training on node tables: the rungs without an encoder, and the head above encoder moments of whole volumes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from REACTKDLib.core.phantom.latents import DENSITIES
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDTrainLib.distillation.losses import focal_loss, masked_mse, random_presence
from REACTKDTrainLib.release.tables import LATENTS, MODALITIES, Table


@dataclass(frozen=True)
class HeadRecipe:
    """How a head is trained. auxiliary: weight of regressing the phantom's latents from tumor nodes."""

    steps: int = 2500
    batch: int = 128
    rate: float = 3e-3
    decay: float = 3e-2
    gamma: float = 2.0
    auxiliary: float = 0.5
    modality_dropout: float = 0.3
    node_dropout: float = 0.1
    seed: int = 0


def latent_visibility(present: dict[str, Tensor]) -> Tensor:
    """(B, 10): which latents the modalities present can show."""
    some = torch.stack(list(present.values())).amax(dim=0)
    columns = [torch.zeros_like(some)]  # the count is the topology node's
    for _, _, shown_by in DENSITIES.values():
        columns.append(torch.stack([present[m.value] for m in shown_by]).amax(dim=0))
    return torch.stack(columns, dim=1)


def standardize_latents(latents: Tensor, reference: Tensor) -> Tensor:
    """Zero mean and unit variance by the reference cases."""
    return (latents - reference.mean(dim=0)) / reference.std(dim=0)


def fit_scales(student: Student, table: Table, fused: Tensor | None = None) -> None:
    """Set the standardization constants from tumor nodes (and parenchyma) of training cases."""
    batch = NodeBatch(table.topology, table.fixed_blocks(student.config.blocks), fused, None, table.present)
    student.fit_scales([batch])
    if fused is not None:
        student.fit_learned_scale([batch])


def table_logits(
    student: Student,
    fixed: dict[str, Tensor],
    fused: Tensor,
    present: Tensor,
    topology: Tensor,
    modalities: dict[str, Tensor],
) -> tuple[Tensor, Tensor]:
    """Logits (B, K) and region embeddings (B, n, hidden) of a batch of node tables."""
    learned = fused if student.fused_size else None
    decision = student.forward_nodes(NodeBatch(topology, fixed, learned, modalities, present))
    return decision.logits, decision.regions


def drop_nodes(present: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Leave out lesions at random, never the largest one."""
    if rate == 0:
        return present
    keep = torch.rand(present.shape, generator=generator) >= rate
    keep[:, :2] = True
    return present & keep


def train_head(student: Student, table: Table, recipe: HeadRecipe, fused: dict[str, Tensor] | None = None) -> Student:
    """Train everything but the encoder on node tables. fused: subset name ('ct+fdg') -> (N, 7, F), or None.

    With `fused`, each step draws one subset of modalities for the whole batch, since encoder moments belong to one.
    """
    torch.manual_seed(recipe.seed)
    draw = torch.Generator().manual_seed(recipe.seed)
    fixed = table.fixed_blocks(student.config.blocks)
    target = standardize_latents(table.latents, table.latents)
    regress = nn.Linear(student.config.hidden, len(LATENTS))
    wanted = [p for n, p in student.named_parameters() if not n.startswith("encoders.")]
    optimizer = torch.optim.AdamW([*wanted, *regress.parameters()], lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=recipe.steps)
    student.train()
    for _ in range(recipe.steps):
        rows = torch.randint(len(table), (recipe.batch,), generator=draw)
        if fused is None:
            modalities = random_presence(recipe.batch, MODALITIES, recipe.modality_dropout, draw)
            maps = torch.zeros(recipe.batch, fixed["ct"].shape[1], 0)
        else:
            one = random_presence(1, MODALITIES, recipe.modality_dropout, draw)
            modalities = {m: v.expand(recipe.batch) for m, v in one.items()}
            maps = fused["+".join(m for m in MODALITIES if one[m] > 0)][rows]
        present = drop_nodes(table.present[rows], recipe.node_dropout, draw)
        logits, h = table_logits(
            student, {m: v[rows] for m, v in fixed.items()}, maps, present, table.topology[rows], modalities
        )
        loss = focal_loss(logits, table.grade[rows], recipe.gamma)
        if recipe.auxiliary:
            visible = latent_visibility(modalities)[:, None, :] * present[:, 1:, None]
            loss = loss + recipe.auxiliary * masked_mse(regress(h[:, 1:]), target[rows][:, None, :], visible)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(wanted, 1.0)
        optimizer.step()
        schedule.step()
    return student.eval()


@torch.no_grad()
def predict(student: Student, table: Table, subset: tuple[str, ...], fused: dict[str, Tensor] | None = None) -> Tensor:
    """Logits (N, K) of every case of a table for one subset of modalities."""
    student.eval()
    modalities = {m: torch.full((len(table),), float(m in subset)) for m in MODALITIES}
    fixed = table.fixed_blocks(student.config.blocks)
    maps = torch.zeros(len(table), table.present.shape[1], 0) if fused is None else fused["+".join(subset)]
    return table_logits(student, fixed, maps, table.present, table.topology, modalities)[0]
