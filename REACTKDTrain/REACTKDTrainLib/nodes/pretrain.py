"""Pretraining of a student on ungraded phantoms: regression of the latent variables of lesions.

It uses the latent variables of phantoms, as `loss.auxiliary` does, so this stage is for phantoms only.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.distillation.auxiliary import LatentReadout, visible
from REACTKDTrainLib.nodes.table import NodeTable, TableBatch
from REACTKDTrainLib.nodes.train import FIXED_STUDENT, Recipe, drawn_variants, optimize, presence_of
from REACTKDTrainLib.training.randomness import seeded


def pretrained_student(table: NodeTable, recipe: Recipe, config: StudentConfig = FIXED_STUDENT) -> Student:
    """Return a new student whose lesion embeddings predict the latent variables that the table's images show.

    No grade is used. table: phantoms, all with the same images, such as CT alone; grades are optional. recipe: its
    steps, batch, rates, seed and share of the expert's masks. config: of a student without an encoder. `fitted_to`
    prepares the result for `train_student`.

    Raises: ValueError for patients, whose latent variables are unknown.
    """
    if not all(truth is not None and truth.known for truth in table.truth):
        raise ValueError("only digital phantoms whose lesions are known have latents to learn from")
    with seeded(recipe.seed):
        student = Student(config)
        student.fit_scales([_batch(table, student, variant=v) for v in range(table.variants)])
        readout = LatentReadout(config.hidden, table.latents)
        given = {m: torch.ones(1) for m in table.fixed}
        draw = torch.Generator().manual_seed(recipe.seed)

        def loss(index: Tensor) -> dict[str, Tensor]:
            batch = _batch(table, student, index, drawn_variants(len(index), table.variants, recipe, draw))
            wanted, rows = table.lesions_of(index, batch)
            shown = visible(given, readout.biology).expand_as(wanted)
            return {"latents": readout.loss(student.embed(batch)[rows], wanted, shown)}

        optimize(nn.ModuleList([student, readout]).train(), loss, len(table), recipe)
    return student.eval()


def fitted_to(student: Student, table: NodeTable, seen: Sequence[str]) -> Student:
    """Return a copy with the standardization constants of training cases, for the topology and all images except
    `seen`: the student was pretrained on these, and its weights depend on their constants. table: the training cases.
    """
    out = copy.deepcopy(student)
    others = replace(table, fixed={m: x for m, x in table.fixed.items() if m not in seen})
    out.fit_scales([_batch(others, out, variant=v) for v in range(table.variants)])
    return out


def _batch(table: NodeTable, student: Student, index: Tensor | None = None, variant: Tensor | int = 0) -> TableBatch:
    """Return cases of the table with all its images, as input of the student."""
    batch = table.batch(index, variant)
    return batch.for_student(student, presence_of(student, tuple(table.fixed), len(batch.topology)))
