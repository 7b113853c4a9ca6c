"""Training of a teacher or a student on a table of nodes; equal arguments give bit-identical results."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDTrainLib.distillation.auxiliary import LatentReadout, visible
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.losses import focal_loss, random_presence
from REACTKDTrainLib.models.outputs import GraphOutput, region_fields
from REACTKDTrainLib.nodes.posterior import PosteriorTargets
from REACTKDTrainLib.nodes.table import NodeTable, TableBatch
from REACTKDTrainLib.nodes.teacher import NodeTeacher
from REACTKDTrainLib.settings import Dropout, Probability, Weight, settings
from REACTKDTrainLib.training.checkpoint import load_checkpoint, save_checkpoint
from REACTKDTrainLib.training.randomness import seeded

Watch = Callable[[int, Mapping[str, float]], None]
#: a student that reads only fixed node vectors
FIXED_STUDENT = StudentConfig(blocks=("input", "bands", "shells"), dropout=0.3)


@settings
class Recipe:
    """How heads are optimized: AdamW, one cycle of the learning rate, gradients clipped at 1.

    steps, batch, lr, weight_decay: of the optimizer. gamma, class_weights: of the focal loss. modality_dropout,
    node_dropout: of the student's images, and of lesions. expert: share of the training cases shown with the expert's
    masks, the others with perturbed ones. auxiliary: weight of regressing a phantom's latent variables. posterior:
    share of the classification loss that is cross-entropy to a phantom's exact posterior given the images shown,
    instead of focal loss on the grade. Raises: BadSetting that names the field.
    """

    steps: Annotated[int, Field(ge=1)] = 400
    batch: Annotated[int, Field(ge=1)] = 64
    lr: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 3e-2
    gamma: Weight = 2.0
    class_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    modality_dropout: Dropout = 0.3
    node_dropout: Dropout = 0.1
    expert: Probability = 0.5
    auxiliary: Weight = 0.0
    posterior: Probability = 0.0
    seed: int = 0


def train_teacher(table: NodeTable, recipe: Recipe, hidden: int = 48, dropout: float = 0.3) -> NodeTeacher:
    """Train a teacher with all images; focal loss of the fused head, and half that of each branch.

    Masks and lesions are perturbed as for a student (`recipe.expert`, `recipe.node_dropout`): on 65 patients, a teacher
    trained only with the expert's masks is worse than the student that it should teach (docs/decisions/0040).
    """
    with seeded(recipe.seed):
        teacher = NodeTeacher(hidden, dropout=dropout)
        teacher.fit_scales([table.batch()])
        draw = torch.Generator().manual_seed(recipe.seed)
        known = _posterior(table, recipe, MODALITIES)

        def loss(index: Tensor) -> dict[str, Tensor]:
            batch = table.batch(index, drawn_variants(len(index), table.variants, recipe, draw))
            output = teacher(replace(batch, seen=_seen_nodes(batch.rows, recipe.node_dropout, draw)))
            terms = {}
            for head, logits in {"fused": output.logits, **output.branch_logits}.items():
                wanted = None if known is None else known.all_given(index, teacher.heads[head].inputs)
                own = _grade_terms(logits, table.grade[index], wanted, recipe)
                terms[head] = (1.0 if head == "fused" else 0.5) * torch.stack(list(own.values())).sum()
            return terms

        optimize(teacher.train(), loss, len(table), recipe)
    return teacher.eval()


def train_student(
    table: NodeTable,
    recipe: Recipe,
    config: StudentConfig | None = None,
    distiller: Distiller | None = None,
    targets: GraphOutput | None = None,
    initial: Student | None = None,
    watch: Watch | None = None,
) -> Student:
    """Train a student with focal loss, the distiller's terms and optionally the latent variables, with dropout of
    modalities and lesions.

    table: training cases; the student is shown mask sets by `recipe.expert`. config: of a new student, by default the
    usual one without an encoder. distiller: its parameters are trained too and then discarded; it gets region
    embeddings as nodes, and `views` that have `masks.matches`, `grade` and `patient`. targets: for all cases of the
    table, see `teacher.targets_of`. watch: called with the terms after each step. initial: a student to continue from
    (copied), whose encoder is not changed; the table must contain its moments.

    Raises: ValueError for a distiller that needs targets that are missing, or whole maps; if the table lacks the
    moments of the student's encoder; and for latent variables or posteriors of patients, which are unknown.
    """
    if distiller is not None and distiller.needs_teacher and targets is None:
        raise ValueError("this distiller needs the teacher's targets")
    if distiller is not None and distiller.needs_maps:
        raise ValueError("this distiller compares whole maps, and there are none on the level of nodes")
    if recipe.auxiliary and not all(truth is not None and truth.known for truth in table.truth):
        raise ValueError("only digital phantoms whose lesions are known have latents to regress")
    with seeded(recipe.seed):
        student = copy.deepcopy(initial) if initial is not None else new_student(table, config)
        regress = LatentReadout(student.config.hidden, table.latents) if recipe.auxiliary else None
        draw = torch.Generator().manual_seed(recipe.seed)
        known = _posterior(table, recipe, student.config.modalities)

        def loss(index: Tensor) -> dict[str, Tensor]:
            presence = random_presence(len(index), student.config.modalities, recipe.modality_dropout, draw)
            batch = table.batch(index, drawn_variants(len(index), _usable(table, student), recipe, draw))
            batch = replace(batch, seen=_seen_nodes(batch.rows, recipe.node_dropout, draw))
            output = graph_of(student, batch.for_student(student, presence))
            wanted = None if known is None else known.given(index, presence)
            terms = _grade_terms(output.logits, table.grade[index], wanted, recipe)
            if distiller is not None and targets is not None:
                views = [
                    SimpleNamespace(
                        masks=SimpleNamespace(matches=m), grade=int(table.grade[i]), patient=table.patients[i]
                    )
                    for i, m in zip(index.tolist(), batch.per_case(batch.matches), strict=True)
                ]
                terms |= distiller(output, targets.taken(index), views)
            if regress is not None:
                own = _latent_loss(regress, output.embeddings, table, index, batch, presence)
                terms["latents"] = recipe.auxiliary * own
            return terms

        parts = [p for name, p in student.named_parameters() if not name.startswith(("encoders.", "cbam."))]
        nn.ParameterList(parts).requires_grad_()  # a student loaded from a model folder is frozen
        for extra in (distiller, regress):
            parts += [] if extra is None else [p for p in extra.parameters() if p.requires_grad]
        student.train()
        optimize(nn.ParameterList(parts), loss, len(table), recipe, watch)
    return student.eval()


def new_student(table: NodeTable, config: StudentConfig | None = None) -> Student:
    """Return a student with the standardization constants of a table's lesions. config: as in `train_student`."""
    student = Student(config or FIXED_STUDENT)
    whole = presence_of(student, student.config.modalities, len(table))
    batches = [table.batch(variant=v).for_student(student, whole) for v in range(_usable(table, student))]
    student.fit_scales(batches)
    if student.fused_size:
        fit_learned_scale(student, table)
    return student


def fit_learned_scale(student: Student, table: NodeTable) -> None:
    """Set the standardization constants of the encoder's moments from a table's lesions, over all subsets of images."""
    batches = [table.batch(variant=v) for v in range(table.encoded)]
    student.fit_learned_scale(replace(b, learned=b.moments[s]) for s in table.fused for b in batches)


def presence_of(student: Student, subset: tuple[str, ...], cases: int) -> dict[str, Tensor]:
    """Modality -> (cases,), 1 if it is in `subset`, else 0: all cases with the same images."""
    return {m: torch.full((cases,), float(m in subset)) for m in student.config.modalities}


@torch.no_grad()
def predict(student: Student, table: NodeTable, subset: tuple[str, ...], variant: int = 0) -> Tensor:
    """Return probabilities (N, K) float64 of all cases with the images of `subset`; masks: `variant` (0: expert)."""
    student.eval()
    batch = table.batch(variant=variant).for_student(student, presence_of(student, subset, len(table)))
    return torch.softmax(student.forward_nodes(batch).logits.double(), dim=1)


def graph_of(student: Student, batch: NodeBatch) -> GraphOutput:
    """Return the output that distillers compare; `nodes` are region embeddings, which replace means of maps here."""
    decision = student.forward_nodes(batch)
    found = region_fields(batch, decision)
    return GraphOutput(decision.logits, found["embeddings"], [], decision.summary, **found)


def _usable(table: NodeTable, student: Student) -> int:
    """Return the number of mask sets for the student: those with moments of its encoder, if it has one."""
    return table.encoded if student.fused_size else table.variants


def drawn_variants(n: int, variants: int, recipe: Recipe, draw: torch.Generator) -> Tensor:
    """(n,): the expert's masks with probability `recipe.expert`, else one of the perturbed sets."""
    if variants < 1:
        raise ValueError("the table has no encoder moments; make it with the student's encoder")
    expert = torch.rand(n, generator=draw) < recipe.expert
    other = torch.randint(1, max(variants, 2), (n,), generator=draw)
    return torch.where(expert | (variants < 2), torch.zeros_like(other), other)


def _seen_nodes(rows: Tensor, rate: float, draw: torch.Generator) -> Tensor:
    """(B, n) bool: `rows` without dropped lesions, never the parenchyma or the first (largest) lesion."""
    hidden = torch.rand(rows.shape, generator=draw) < rate
    hidden[:, :2] = False
    return rows & ~hidden


def _posterior(table: NodeTable, recipe: Recipe, modalities: Sequence[str]) -> PosteriorTargets | None:
    return PosteriorTargets.of(table, modalities) if recipe.posterior else None


def _grade_terms(logits: Tensor, grade: Tensor, posterior: Tensor | None, recipe: Recipe) -> dict[str, Tensor]:
    """Losses of logits (B, K) against grades (B,), and by `recipe.posterior` against probabilities (B, K)."""
    terms = {}
    if recipe.posterior < 1:
        focal = focal_loss(logits, grade, recipe.gamma, torch.tensor(recipe.class_weights))
        terms["focal"] = focal if posterior is None else (1 - recipe.posterior) * focal
    if posterior is not None:
        terms["posterior"] = recipe.posterior * F.cross_entropy(logits, posterior)
    return terms


def _latent_loss(
    readout: LatentReadout,
    embeddings: Sequence[Tensor],
    table: NodeTable,
    index: Tensor,
    batch: TableBatch,
    presence: Mapping[str, Tensor],
) -> Tensor:
    """Loss over all lesions of the batch, on the visible latent variables of the expert's node that each overlaps."""
    lesions = torch.cat([h[1:] for h in embeddings])
    wanted, rows = table.lesions_of(index, batch)
    shown = visible(presence, readout.biology)[:, None].expand(-1, rows.shape[1], -1)[rows]
    return readout.loss(lesions, wanted, shown)


def optimize(
    module: nn.Module, loss: Callable[[Tensor], dict[str, Tensor]], cases: int, recipe: Recipe,
    watch: Watch | None = None, checkpoint: Checkpoint | None = None,
) -> None:  # fmt: skip
    """Optimize over shuffled cases; each epoch runs through all of them. The common loop for training heads and crops.

    module: what is optimized. loss: (batch,) indices of cases -> terms. watch: called with the terms after each step.
    checkpoint: state of a long training; it resumes from there with the result of an uninterrupted one.
    """
    order = torch.Generator().manual_seed(recipe.seed + 1)
    optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.steps)
    parts = {"module": module, "optimizer": optimizer, "schedule": schedule}
    first, kept = (0, None) if checkpoint is None else checkpoint.load(parts, order)
    queue = torch.empty(0, dtype=torch.long) if kept is None else kept
    for step in range(first, recipe.steps):
        while len(queue) < recipe.batch:
            queue = torch.cat([queue, torch.randperm(cases, generator=order)])
        index, queue = queue[: recipe.batch], queue[recipe.batch :]
        terms = loss(index)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if watch is not None:
            watch(step, {name: float(value.detach()) for name, value in terms.items()})
        if checkpoint is not None and (step + 1) % checkpoint.every == 0:
            checkpoint.save(step + 1, parts, order, queue)


@dataclass(frozen=True)
class Checkpoint:
    """The state of `optimize` in one file, written every few steps.

    binding: a hash of recipe and cases; a file with another one is refused. draws: generators that the loss uses, in
    addition to the global one.
    """

    path: Path
    binding: str
    draws: tuple[torch.Generator, ...] = ()
    every: int = 50

    def save(self, step: int, parts: Mapping[str, Any], order: torch.Generator, queue: Tensor) -> None:
        """Save everything after `step` steps. queue: the rest of the epoch. Raises: OutputNotWritable."""
        states = {str(n): g.get_state() for n, g in enumerate((order, *self.draws))}
        tensors = {name: part.state_dict() for name, part in parts.items()}
        tensors |= {"generators": states, "process": torch.get_rng_state(), "queue": queue}
        save_checkpoint(self.path, tensors, {"step": step}, self.binding)

    def load(self, parts: Mapping[str, Any], order: torch.Generator) -> tuple[int, Tensor | None]:
        """Restore everything. Returns the next step and the rest of the epoch; (0, None) without a file.

        Raises: UsageError, see `load_checkpoint`.
        """
        found = load_checkpoint(self.path, self.binding)
        if found is None:
            return 0, None
        tensors, state = found
        for name, part in parts.items():
            part.load_state_dict(tensors[name])
        for n, generator in enumerate((order, *self.draws)):
            generator.set_state(tensors["generators"][str(n)])
        torch.set_rng_state(tensors["process"])
        return int(state["step"]), tensors["queue"]
