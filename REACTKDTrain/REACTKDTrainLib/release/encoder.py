"""Training the encoder on lesion crops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDTrainLib.data.fixed_nodes import columns_of
from REACTKDTrainLib.distillation.auxiliary import LatentReadout, visible
from REACTKDTrainLib.distillation.losses import focal_loss, random_presence
from REACTKDTrainLib.nodes.train import Checkpoint, Recipe, optimize
from REACTKDTrainLib.release.crops import Crops, crop_moments
from REACTKDTrainLib.release.recipe import CropRecipe
from REACTKDTrainLib.training.randomness import seeded

FIRST = 64  # crops for the standardization constants of the moments, before training


def train_encoder(
    crops: Crops,
    config: StudentConfig,
    recipe: Recipe,
    crop: CropRecipe,
    checkpoint: Path | None = None,
    binding: str = "",
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Student:
    """Train a whole student on crops: focal loss and latent variables of the lesion, with modality dropout; its encoder
    is kept.

    config: of the student. recipe: `batch` crops per step. checkpoint: state of the training, from which an interrupted
    one resumes; binding: a hash of recipe and patients, see `Checkpoint`.
    """
    with seeded(recipe.seed):
        draw = torch.Generator().manual_seed(recipe.seed)
        student = Student(config)
        table, columns = crops.table, columns_of(config.blocks)
        regress = LatentReadout(config.hidden, table.latents)
        expert = table.batch()
        fixed = {m: x[..., columns] for m, x in expert.fixed.items()} if student.fixed_size else {}
        student.fit_scales([replace(expert, fixed=fixed)])

        def batch_of(index: Tensor, presence: Mapping[str, Tensor], shift: float) -> NodeBatch:
            """Return crops as cases of two nodes, the parenchyma and one lesion."""
            rows, lesion = crops.owner[index], crops.lesion[index] + 1
            moments = crop_moments(student, *crops.drawn(index, shift, draw), presence, crop)
            pairs = {m: torch.stack([v[rows, 0], v[rows, lesion]], dim=1) for m, v in fixed.items()}
            return NodeBatch(expert.topology[rows], pairs, moments, presence)

        def loss(index: Tensor) -> dict[str, Tensor]:
            presence = random_presence(len(index), MODALITIES, recipe.modality_dropout, draw)
            decision = student.forward_nodes(batch_of(index, presence, crop.shift))
            rows = crops.owner[index]
            wanted = table.node_truth[rows, crops.lesion[index] + 1]
            regression = regress.loss(decision.regions[:, 1], wanted, visible(presence, regress.biology))
            focal = focal_loss(decision.logits, table.grade[rows], recipe.gamma)
            return {"focal": focal, "latents": recipe.auxiliary * regression}

        first = torch.randperm(len(crops), generator=draw)[:FIRST]
        with torch.no_grad():
            student.fit_learned_scale([batch_of(first, {m: torch.ones(len(first)) for m in MODALITIES}, 0.0)])
        both = nn.ModuleList([student.train(), regress])
        kept = None if checkpoint is None else Checkpoint(checkpoint, binding, (draw,))
        optimize(both, loss, len(crops), recipe, lambda step, _: on_progress(step + 1, recipe.steps), kept)
    return student.eval()
