"""The released model, from phantoms to the model folder; each step is stored, so an interrupted run resumes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.job_engines import Engine
from REACTKDLib.core.job_pool import JobPool
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.one_thread import one_thread
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.bundle import SHIPPED, Bundle
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.trained_on import TrainedOn
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.content_store import ContentStore, content_key
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.nodes.node_store import NodeStore, encoder_hash
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.progress import WeightedProgress
from REACTKDTrainLib.release.baselines import MOMENT_BASELINES
from REACTKDTrainLib.release.card import card
from REACTKDTrainLib.release.crops import CropStore, table_with_moments
from REACTKDTrainLib.release.distill import best_baseline, calibrate, distill, encoder_gain, with_encoder
from REACTKDTrainLib.release.encoder import train_encoder
from REACTKDTrainLib.release.measure import deciding_of, evaluate, sets_of, with_other_masks, with_sets
from REACTKDTrainLib.release.provenance import PARTS, provenance
from REACTKDTrainLib.release.recipe import ReleaseRecipe, Seeds
from REACTKDTrainLib.training.outputs import NOT_CLINICAL, model_metadata

FORMAT = "reactkd-release/2"
COHORT = "large"
#: fields of a recipe that no weight depends on
MEASURING = frozenset({"conformal", "test"})
#: relative costs of the steps, dominated by the simulation of patients
COST = {
    **{f"patients of {part}": cost for part, cost in zip(PARTS, (50.0, 4.0, 6.0, 12.0))},
    **dict.fromkeys(MOMENT_BASELINES, 1.0),
    "encoder": 15.0,
    "what the encoder adds": 3.0,
    **{f"whole volumes of {part}": cost for part, cost in zip(PARTS, (50.0, 4.0, 6.0, 12.0))},
    "the encoder joins": 1.0,
    "distillation": 5.0,
    "measures": 3.0,
}


@dataclass(frozen=True)
class Drawing:
    """Simulates a patient once and stores the node vectors, and the crops if its id is among `cropped`."""

    nodes: NodeStore
    crops: CropStore
    cropped: frozenset[str]

    def made(self, case: CohortCase) -> bool:
        """Return True if all required files exist."""
        return self.crops.made(case) if case.id in self.cropped else self.nodes.path(case).exists()

    def __call__(self, case: CohortCase) -> None:
        """Compute and store them. Raises: see `NodeStore.get`."""
        (self.crops if case.id in self.cropped else self.nodes).make(case)


@dataclass(eq=False)
class Release:
    """The making of one model. work: folder for steps, crops and node vectors; workers: number of preparing processes.

    on_progress: of the whole; steps that exist already count at once.
    """

    recipe: ReleaseRecipe
    work: Path
    workers: int = 1
    on_progress: OnProgress = no_progress

    def __post_init__(self) -> None:
        recipe = self.recipe
        self._progress = WeightedProgress(COST, self.on_progress)
        self._steps = ContentStore(self.work / "steps", ".pt")
        self._organ_hu: list[float | None] = [None]  # of the training patients, when their node vectors are read
        prepared = PreparedStore(self.work / "nodes", preparation_of(recipe.size), variants=recipe.variants)
        self._nodes = NodeStore(self.work / "nodes", prepared, LiverWindow())
        self._crops = CropStore(ContentStore(self.work / "crops"), self._nodes, recipe.crops)

    # -- patients

    def cases(self, seeds: Seeds) -> list[CohortCase]:
        """Return patients of the cohort by number."""
        return [phantom_case(COHORT, seed, self.recipe.size, biology=self.recipe.biology) for seed in range(*seeds)]

    def _made(self, part: str, cases: Sequence[CohortCase], make: Callable[[CohortCase], Any]) -> None:
        on_progress = self._progress.part(part)
        with JobPool(make, Engine(self.workers)) as pool:
            for done, _ in enumerate(pool.results(cases), start=1):
                on_progress(done / len(cases), f"{part}, {done} of {len(cases)} patients")

    @property
    def _tries_encoder(self) -> bool:
        first, last = self.recipe.encoder_patients
        return last > first

    @cached_property
    def bare(self) -> dict[str, NodeTable]:
        """Node vectors of all parts without an encoder; a patient is simulated once, also for its crops."""
        recipe = self.recipe
        wanted = [recipe.encoder_patients] if self._tries_encoder else []
        wanted += [recipe.validation] if wanted and recipe.encoder_gain is not None else []
        cropped = [case.id for span in wanted for case in self.cases(span)]
        drawing = Drawing(self._nodes, self._crops, frozenset(cropped))
        out = {}
        for part in PARTS:
            cases = self.cases(getattr(recipe, part))
            self._made(f"patients of {part}", [c for c in cases if not drawing.made(c)], drawing)
            found = [self._nodes.get(case) for case in cases]
            out[part] = NodeTable.of(found)
            if part == "train":
                self._organ_hu = [case.organ_hu for case in found]
        return out

    @cached_property
    def encoder(self) -> Student:
        """The encoder, trained on the crops of its patients."""
        recipe, cases = self.recipe, self.cases(self.recipe.encoder_patients)
        names = [self._crops.key(case) for case in cases]
        key = content_key({"format": FORMAT, "step": "encoder", "cases": names, "recipe": asdict(recipe.encoder),
                           "student": recipe.student.to_dict()})  # fmt: skip

        def train() -> dict:
            crops = self._crops.load(cases)
            at = self.work / "steps" / f"encoder-{key[:16]}.checkpoint.pt"

            on_progress = self._progress.part("encoder")

            def tell(done: int, of: int) -> None:
                on_progress(done / of, f"training the encoder, step {done} of {of}")

            student = train_encoder(crops, recipe.student, recipe.encoder, recipe.crops, at, key, tell)
            at.unlink(missing_ok=True)
            return {"student": student.state_dict()}

        return self._student(self._steps.made(key, train)["student"])

    def _student(self, state: dict, **changes) -> Student:
        student = Student(replace(self.recipe.student, **changes))
        student.load_state_dict(state)
        return student.eval().requires_grad_(False)

    @cached_property
    def decision(self) -> dict:
        """Whether the encoder is included, and why; see `distill.encoder_gain`."""
        if not self._tries_encoder:
            return {"ships": False, "tried": False}
        if self.recipe.encoder_gain is None:
            return {"ships": True, "tried": True}

        def make() -> dict:
            spans = {"train": self.recipe.encoder_patients, "validation": self.recipe.validation}
            crops = {part: self._crops.load(self.cases(span)) for part, span in spans.items()}
            with one_thread():
                tables = {k: table_with_moments(self.encoder, own, self.recipe.crops) for k, own in crops.items()}
            *_, last = self.baselines()[0].values()
            own = self.encoder.state_dict()
            return {"found": json.dumps(encoder_gain(last, own, tables["train"], tables["validation"], self.recipe))}

        return parse_json(self._step("what the encoder adds", make)["found"]) | {"tried": True}

    @cached_property
    def tables(self) -> dict[str, NodeTable]:
        """Node vectors of all parts, with the encoder's moments over whole volumes if it is included."""
        if not self.decision["ships"]:
            return self.bare
        encoder = self.encoder
        store = replace(self._nodes, encoder=encoder, encoder_key=encoder_hash(encoder))
        out = {}
        for part in PARTS:
            cases = self.cases(getattr(self.recipe, part))
            self._made(f"whole volumes of {part}", [c for c in cases if not store.path(c).exists()], store.make)
            out[part] = NodeTable.of([store.get(case) for case in cases])
        return out

    # -- students

    def _step(self, name: str, make: Callable[[], dict]) -> dict:
        """Return the result of `make`, computed once for this recipe, which also determines the encoder's training.

        Patients that only measure the result are no part of the key: other ones measure the same weights.
        """
        recipe = {key: value for key, value in self.recipe.to_dict().items() if key not in MEASURING}
        parts = {"format": FORMAT, "step": name, "nodes": self._nodes.key(self.cases(self.recipe.train)[0])}
        parts |= {"recipe": recipe}

        on_progress = self._progress.part(name)

        def made() -> dict:
            on_progress(0.0, f"training, {name}")
            return make()

        found = self._steps.made(content_key(parts), made)
        on_progress(1.0, f"{name}, done")
        return found

    def baselines(self) -> tuple[dict[str, Student], dict[str, dict]]:
        """Students without an encoder, with their training settings."""
        students, records = {}, {}
        for name, blocks in MOMENT_BASELINES.items():

            def make(blocks=blocks) -> dict:
                student, record = best_baseline(blocks, self.bare["train"], self.bare["validation"], self.recipe)
                return {"student": student.state_dict(), "record": json.dumps(record)}

            found = self._step(name, make)
            records[name] = parse_json(found["record"])
            students[name] = self._student(found["student"], blocks=blocks, dropout=records[name]["dropout"])
        return students, records

    def undistilled(self, base: Student) -> Student:
        """The baseline with the encoder added."""

        def make() -> dict:
            joined = with_encoder(base, self.encoder.state_dict(), self.tables["train"], self.recipe)
            return {"student": joined.state_dict()}

        return self._student(self._step("the encoder joins", make)["student"], dropout=base.config.dropout)

    def distilled(self, initial: Student) -> tuple[Student, Student, dict]:
        """The calibrated student, the one tuned equally without a teacher, and the record of both."""

        def make() -> dict:
            found = distill(self.tables["train"], self.tables["validation"], initial, self.recipe)
            record = {**found.record, "temperature": calibrate(found.student, self.tables["validation"])}
            students = {"student": found.student.state_dict(), "plain": found.undistilled.state_dict()}
            return students | {"record": json.dumps(record)}

        found = self._step("distillation", make)
        own = {"dropout": initial.config.dropout, "blocks": initial.config.blocks}
        student, plain = (self._student(found[name], **own) for name in ("student", "plain"))
        return student, plain, parse_json(found["record"])

    def run(self, output: Path, version: str) -> Bundle:
        """Compute missing steps, evaluate once, and write the model folder with its card."""
        for part in ("validation", "test"):  # said before the training, which takes hours
            require_every_class(self.bare[part], part)
        baselines, records = self.baselines()
        *_, last = MOMENT_BASELINES
        ships = self.decision["ships"]
        before = self.undistilled(baselines[last]) if ships else baselines[last]
        student, plain, record = self.distilled(before)
        joined = {"before distillation": before} if ships else {}
        students = {**baselines, **joined, "tuned without a teacher": plain, "student": student}
        sets = sets_of(student, self.tables["conformal"])
        for skipped in COST.keys() - {"measures"}:
            self._progress.part(skipped)(1.0, "done")
        self._progress.part("measures")(0.0, "measuring on the test patients")
        train, test, draws = self.tables["train"], self.tables["test"], self.recipe.draws
        evaluation = evaluate(students, train, test, draws)
        pair = {"before distillation": before, "student": student}
        evaluation["other_masks"] = with_other_masks(test, pair, draws)
        evaluation["grade_sets"] = with_sets(student, test, sets)
        evaluation["deciding"] = deciding_of(student, test)
        sha256 = encoder_hash(self.encoder) if ships else None
        training = provenance(self.recipe, self.decision, sha256, records[last], record)
        about = {"name": SHIPPED, "version": version, "clinical_use": NOT_CLINICAL[True]}
        known = None not in self._organ_hu  # node vectors of an earlier release do not hold it
        means = self._organ_hu if known else ()
        shown = [MODALITIES] * training["cases"]
        seen = TrainedOn.cases(shown, self.recipe.heads.modality_dropout, means)
        trained = (self.recipe.student.modalities, seen, self.recipe.size, self._nodes.window)
        metadata = model_metadata(about, *trained, training, evaluation)
        metadata["reactkd"]["grade_sets"] = sets.to_metadata()
        bundle = Bundle.save(output, student, metadata)
        write_text(Path(output) / "docs" / "README.md", card(training, evaluation))
        self._progress.part("measures")(1.0, "done")
        return bundle


def require_every_class(table: NodeTable, part: str) -> None:
    """Raise UsageError if a class has no patient: then there is no AUC."""
    absent = [label for k, label in enumerate(GRADES) if not (table.grade == k).any()]
    if absent:
        text = "No patient of {part} is of class {absent}; give more of them: --patients {part}=FIRST:LAST."
        raise UsageError(text, part=part, absent=" or ".join(absent))


def release(
    recipe: ReleaseRecipe,
    work: Path,
    output: Path,
    version: str,
    workers: int = 1,
    on_progress: OnProgress = no_progress,
) -> Bundle:
    """Train a model by a recipe: crops, encoder, node vectors, heads, distillation, temperature, evaluation, card.

    work: a folder that stores every step; the same call resumes an interrupted one. output: the model folder, replaced
    atomically at the end.

    Raises: OutputNotWritable, WorkerLost; UsageError if a class has no patient for validation or test.

    Example:
        >>> release(PRESETS["tiny"], Path("work"), Path("model"), "0.0.1")
    """
    with torch.random.fork_rng(devices=[]):
        return Release(recipe, Path(work), workers, on_progress).run(Path(output), version)
