"""The level of nodes: the primary comparison, where it can be decided.

Heads on stored node vectors at 2.5 mm train in seconds, so a method can be given many training subsets of hospital
size and be tested on thousands of phantoms that nobody saw. Students have no learned encoder here: fixed moments,
bands and shells of every region, which is most of what the shipped student knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.job_engines import HERE, Engine
from REACTKDLib.core.modality import INPUTS, MODALITIES, subset_name
from REACTKDLib.core.one_thread import one_thread
from REACTKDLib.core.phantom.biology_shared import SharedLatents
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.intervals import share_in_common
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.nodes.naming import Predictor, named_lesions, predictor_of
from REACTKDTrainLib.nodes.node_store import NodeStore
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import targets_of
from REACTKDTrainLib.nodes.train import Recipe, predict, train_student, train_teacher
from REACTKDTrainLib.study.presets import ARMS, Arm, NodeConfig
from REACTKDTrainLib.study.read_latents import FORMAT, TOLD, read_case
from REACTKDTrainLib.study.runs import Run, RunFiles
from REACTKDTrainLib.training.preparation import prepare_cases
from REACTKDTrainLib.training.randomness import seeded

HIDDEN = 48  # width of region embeddings, the student's and the teachers'
#: numbers of the cohort 'large'; those of the tests were asked nothing by an earlier edition of the study
FIRST = {"test": 510_000, "validation": 2000, "pool": 2500}
#: of those whose latents alone are read: patients of their own, so that the test phantoms are asked by the study alone
FIRST_READ = {"test": 760_000, "validation": 720_000, "pool": 740_000}
TEACHERS = ("same", "large")
LEAST = 10  # phantoms for validation and for the test
#: macro AUC: trials whose validation scores are closer than this count as equal, and the first in the list is chosen
RESOLUTION = 5e-4
RUN_COST = 1.3  # of a training whose student the test phantoms are asked with, relative to that of a trial's training
_LOGITS = (
    0.7, 0.35, 1.4, 2.8, 0.15, 5.6, 0.07, 11.0, 22.0, 0.03, 44.0, 90.0, 180.0, 360.0, 720.0, 0.015, 1440.0, 2880.0,
)  # fmt: skip
_FEATURE = (1.0, 0.3, 0.1, 3.0, 0.03, 10.0, 0.01, 30.0, 0.003, 100.0, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 300.0, 1000.0, 3e-6)
#: what each method's trials are, the published weights or ours first; as many for a method of three weights as of one.
#: The last eight lie beyond the choices that an earlier edition of the study had made at the edge of ten
TRIALS = {
    "none": [{"weight_decay": d} for d in (3e-2, 1e-1, 1e-2, 3e-1, 3e-3, 1e-3, 1.0, 3e-4, 3.0, 1e-4, 10.0, 3e-5,
                                               5e-2, 2e-1, 2e-2, 5e-1, 30.0, 1e-5)],
    "kd": [{"logits": w} for w in _LOGITS],
    "react-kd": [
        {"graph": graph, "logits": logits}
        for graph, logits in (
            (1.0, 0.7), (0.3, 0.7), (0.1, 0.7), (0.1, 2.8), (0.1, 0.15), (0.3, 2.8), (0.3, 0.15), (0.03, 2.8),
            (0.03, 5.6), (0.1, 11.0), (3.0, 0.7), (10.0, 0.7), (0.1, 44.0), (0.1, 180.0), (0.01, 11.0), (1.0, 11.0),
            (30.0, 0.7), (100.0, 0.7),
        )
    ],
    "react-kd-scores": [
        {"graph": graph, "logits": logits, "scores": weight, "attention": weight}
        for graph, logits, weight in (
            (1.0, 0.7, 1.0), (0.1, 0.7, 1.0), (0.1, 2.8, 1.0), (0.1, 2.8, 3.0), (0.1, 0.15, 0.3), (0.1, 2.8, 0.3),
            (0.1, 0.15, 1.0), (0.03, 5.6, 1.0), (0.03, 5.6, 3.0), (0.03, 2.8, 10.0), (0.1, 0.15, 0.1),
            (0.1, 0.05, 0.3), (0.1, 0.05, 0.1), (0.1, 0.15, 0.03), (3.0, 0.7, 1.0), (3.0, 2.8, 3.0),
            (10.0, 2.8, 3.0), (30.0, 2.8, 3.0),
        )
    ],
    "crd": [{"feature": w} for w in _FEATURE],
    "awmt": [{"feature": w} for w in _FEATURE],
}  # fmt: skip


def at_edge(method: str, trials: int, choice: Mapping[str, float]) -> list[str]:
    """The settings of a choice that are the smallest or largest of those tried: a wider grid may move them."""
    tried = TRIALS.get(method, [{}])[:trials]
    values = {name: sorted({t[name] for t in tried}) for name in choice}
    return [n for n, v in choice.items() if len(values[n]) > 1 and v in (values[n][0], values[n][-1])]


@dataclass(eq=False)
class NodeStudy:
    """Runs on nodes. folder: of the node store; ready: use the files that are there and make none; size: of phantoms
    ('full' 2.5 mm, 'tiny' to try things out). arm: which phantoms.
    """

    config: NodeConfig
    folder: Path
    size: str = "full"
    ready: bool = False
    engine: Engine = HERE
    arm: Arm = ARMS[0]
    _tables: dict[str, NodeTable] = field(default_factory=dict)
    _teachers: dict[str, GraphOutput] = field(default_factory=dict)

    @cached_property
    def store(self) -> NodeStore:
        """Node files, as `compare nodes` uses them too."""
        return NodeStore.without_encoder(self.folder, self.size, self.config.variants)

    @cached_property
    def cases(self) -> dict[str, list[CohortCase]]:
        """part -> phantoms; with `ready` those whose node files are there."""
        firsts = FIRST if self.config.drawn else FIRST_READ
        numbers = {name: range(first, first + getattr(self.config, name)) for name, first in firsts.items()}
        drawn = {"biology": self.arm.biology, "heterogeneity": self.arm.heterogeneity}
        out = {name: [phantom_case("large", n, self.size, **drawn) for n in own] for name, own in numbers.items()}
        if self.ready and self.config.drawn:
            out = {name: [c for c in cases if self.store.path(c).exists()] for name, cases in out.items()}
        return out

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of training subsets: those that the pool allows."""
        return tuple(n for n in self.config.sizes if n <= len(self.cases["pool"]))

    def prepare(self, on_progress: OnProgress = no_progress) -> None:
        """Make the node files that are not there. Raises: UsageError where with `ready` too few are there."""
        if not self.config.drawn:
            return
        own = {name: len(cases) for name, cases in self.cases.items()}
        if self.ready and (min(own["test"], own["validation"]) < LEAST or own["pool"] < min(self.config.sizes)):
            raise UsageError(
                f"The biology {self.arm.name} has too few node files; leave out --ready, so that they are made, or "
                "name those that have enough (--arm)."
            )
        missing = [c for cases in self.cases.values() for c in cases if not self.store.path(c).exists()]
        prepare_cases(missing, self.store.make, self.engine, on_progress)

    def table(self, part: str) -> NodeTable:
        """'test', 'validation' or 'pool'."""
        if part not in self._tables:
            made = self.store.get if self.config.drawn else read_case
            self._tables[part] = NodeTable.of([made(case) for case in self.cases[part]])
        return self._tables[part]

    def subset(self, size: int, number: int) -> torch.Tensor:
        """(size,) places in the pool, with the pool's own shares of grades; the same for every method.

        The pool is dealt in rounds: as many subsets as it holds, none with a patient of another, then it is shuffled
        and dealt anew. `shared` says what that leaves in common.
        """
        grades = self.table("pool").grade.numpy()
        hands = len(grades) // size
        turn, hand = divmod(number, hands)
        rng = np.random.default_rng([7, size, turn])
        by_grade = np.concatenate([rng.permutation(np.flatnonzero(grades == g)) for g in range(3)])
        spread = by_grade[np.arange(hands * size) * len(grades) // (hands * size)]  # leaves out as many of each grade
        return torch.from_numpy(spread[hand::hands])

    def shared(self, size: int, numbers: Sequence[int]) -> float:
        """The share of their patients that two of these subsets have in common, on average over the pairs."""
        return share_in_common([self.subset(size, n).tolist() for n in numbers])

    # -- teachers and students

    def recipe(self, seed: int, **changes) -> Recipe:
        """Of every training: same steps, batches, order of cases for a seed."""
        return Recipe(**({"steps": self.config.steps, "batch": self.config.batch, "seed": seed} | changes))

    def targets(self, teacher: str, size: int, number: int) -> GraphOutput:
        """A teacher's targets on a subset: one of the same patients, or one of the whole pool."""
        index = self.subset(size, number)
        if teacher == "same":
            key = f"same {size} {number}"
            if key not in self._teachers:
                table = self.table("pool").pick(index)  # every method and trial asks for it: small, so all are kept
                self._teachers[key] = targets_of(train_teacher(table, self.recipe(number), HIDDEN), table)
            return self._teachers[key]
        return self.large_targets.taken(index)

    @cached_property
    def large_teacher(self) -> nn.Module:
        """Trained on the whole pool, once in a process, and in every process to the same bits."""
        table = self.table("pool")
        steps = max(2 * self.config.steps, 1)
        with one_thread(), torch.enable_grad():
            return train_teacher(table, self.recipe(0, steps=steps), HIDDEN)

    @cached_property
    def large_targets(self) -> GraphOutput:
        """Its targets on the pool."""
        return self._targets_of_large("pool")

    def _targets_of_large(self, part: str) -> GraphOutput:
        with one_thread():
            return targets_of(self.large_teacher, self.table(part))

    def student(self, method: str, teacher: str, size: int, number: int, choice: dict):
        """One training on subset `number` of `size` patients. teacher: one of `TEACHERS`. choice: changes of the
        distillation's weights, or of the recipe.
        """
        own = {k: v for k, v in choice.items() if k == "weight_decay"}
        config = DistillationConfig(**{k: v for k, v in choice.items() if k != "weight_decay"})
        with seeded(number):
            distiller = make_distiller(method, config, HIDDEN, HIDDEN)
        targets = self.targets(teacher, size, number) if distiller.needs_teacher else None
        table = self.table("pool").pick(self.subset(size, number))
        return train_student(table, self.recipe(number, **own), distiller=distiller, targets=targets)

    # -- runs

    def choice_runs(self) -> list[Run]:
        """Each method's weight, on the validation phantoms, from subsets of the smallest size that are not among the
        tested ones; every size then has it.
        """
        out, size = [], self.sizes[0]
        for method, teacher in self.rows() if self.config.trials > 1 else ():
            for t, choice in enumerate(self._trials(method)):
                recipe = self._recipe() | {"method": method, "teacher": teacher, "size": size, "choice": choice}
                make = partial(self._trial, method, teacher, size, choice)
                out.append(Run("choices", f"{method}/{teacher}", t, 0, recipe, make, self.config.trial_subsets))
        return out

    def rows(self) -> list[tuple[str, str]]:
        """Return (method, teacher) of every row of the tables."""
        return [(m, t) for m in self.config.methods for t in (TEACHERS if m != "none" else ("same",))]

    def _trials(self, method: str) -> list[dict]:
        return TRIALS.get(method, [{}])[: self.config.trials]

    def chosen(self, files: RunFiles, method: str, teacher: str) -> dict:
        """The first trial in the list whose score equals the best so far, within `RESOLUTION`; the first one of all if
        none was run.
        """
        trials = self._trials(method)
        own = [run for run in self.choice_runs() if run.row == f"{method}/{teacher}"]
        scores = {run.fold: float(kept["score"]) for run in own if (kept := files.get(run)) is not None}
        best = max(scores.values(), default=0.0)
        return trials[min((t for t, score in scores.items() if score >= best - RESOLUTION), default=0)]

    def runs(self, files: RunFiles) -> list[Run]:
        """Every method and teacher on every subset; smallest subsets, the primary comparison, first. Asked for after
        the choices were made.
        """
        out = []
        for size in self.sizes:
            rows = self.rows()
            choices = {row: self.chosen(files, *row) for row in rows}
            for number in range(self.config.subsets):
                for method, teacher in rows:
                    choice = choices[method, teacher]
                    recipe = self._recipe() | {"method": method, "teacher": teacher, "size": size, "choice": choice}
                    make = partial(self._run, method, teacher, size, number, choice)
                    out.append(Run("nodes", f"{method}/{teacher}/{size}", number, 0, recipe, make, RUN_COST))
        return out

    def begun(self, files: RunFiles) -> bool:
        """Whether a run on a training subset is there: without one there is nothing to show, and to draw for it."""
        return any(files.done(run) for run in self.runs(files))

    def teacher_runs(self) -> list[Run]:
        """Answers of the teacher of the pool itself on the test phantoms."""
        return [Run("nodes", "teacher/large", 0, 0, self._recipe(), self._teacher)]

    def _recipe(self) -> dict:
        ids = {part: [case.fingerprint for case in cases] for part, cases in self.cases.items()}
        digest = content_key(repr(sorted(ids.items())))
        own = {k: getattr(self.config, k) for k in ("steps", "batch", "variants")} | {"subsets": "dealt in rounds"}
        read = {} if self.config.drawn else {"read": FORMAT, "told": dict(TOLD)}
        return {"cases": digest, "size_mm": self.size, **own, **read}

    def _trial(self, method: str, teacher: str, size: int, choice: dict) -> dict[str, np.ndarray]:
        table = self.table("validation")
        scores = []
        for number in range(self.config.trial_subsets):
            student = self.student(method, teacher, size, 1000 + number, choice)
            scores.append(macro_auc(table.grade.numpy(), predict(student, table, ("ct",)).numpy()))
        return {"score": np.array(np.mean(scores)), "scores": np.array(scores)}

    def _run(self, method: str, teacher: str, size: int, number: int, choice: dict) -> dict[str, np.ndarray]:
        student, table = self.student(method, teacher, size, number, choice), self.table("test")
        out = {f"p_{subset_name(s)}": predict(student, table, s).numpy() for s in INPUTS}
        for variant in range(1, table.variants):
            out[f"p_ct_masks{variant}"] = predict(student, table, ("ct",), variant).numpy()
        answers = {name: p.astype(np.float32) for name, p in out.items()}
        if not self.config.explained or size != self.sizes[-1]:
            return answers
        return answers | self._named({subset_name(s): predictor_of(student, s) for s in INPUTS})

    def _named(self, asked: Mapping[str, Predictor]) -> dict[str, np.ndarray]:
        """'named_INPUTS_WAY': the lesion that each way names in every test phantom, of which the truth is known."""
        table = self.table("test")
        if not table.deciding.any():
            return {}
        found = {inputs: named_lesions(ask, table.batch()) for inputs, ask in asked.items()}
        return {f"named_{i}_{way}": v.numpy().astype(np.int8) for i, own in found.items() for way, v in own.items()}

    @torch.no_grad()
    def _teacher(self) -> dict[str, np.ndarray]:
        targets = self._targets_of_large("test")
        branches = {f"p_{b}": torch.softmax(v.double(), dim=1).numpy() for b, v in targets.branch_logits.items()}
        with one_thread():
            named = self._named({subset_name(MODALITIES): self.large_teacher.eval()})
        return {"p_fused": torch.softmax(targets.logits.double(), dim=1).numpy(), **branches, **named}

    def truth(self) -> tuple[np.ndarray, np.ndarray | list[SharedLatents]]:
        """Grades (n,) and latents of the test phantoms, as `limit_of` takes them."""
        table = self.table("test")
        return table.grade.numpy(), table.latents
