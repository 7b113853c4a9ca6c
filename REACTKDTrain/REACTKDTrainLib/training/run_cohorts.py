"""The cohorts of a run: opened, checked and prepared, and divided into folds; which parts of the run need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.job_engines import Engine
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.folds import Split, make_folds
from REACTKDTrainLib.cohorts.open_cohort import check_map, open_cohort
from REACTKDTrainLib.data.dose_data import at_native_dose
from REACTKDTrainLib.data.scan_content import known_scans
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.fold import COST, fold_costs
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.preparation import prepare_cohorts, prepare_one, without, without_grades
from REACTKDTrainLib.training.processes import Processes
from REACTKDTrainLib.training.record import run_of_model, scans_of_run
from REACTKDTrainLib.training.run_checks import (
    check_apart,
    check_batches,
    check_branch,
    check_ct,
    check_doses,
    check_initial,
    check_scans_apart,
    check_steps,
    check_student,
    check_student_cases,
    check_teachers,
    check_untaught,
)


@dataclass(eq=False)
class RunCohorts:
    """Opens, checks and prepares the cohorts that options name, by role: 'cohort', 'unlabeled', 'external'.

    config: `options.training_config`. processes: divide the preparation. Raises: UsageError for settings with other
    classes than the task; the errors of reading a task file.
    """

    options: RunOptions
    config: TrainingConfig
    processes: Processes = field(default_factory=Processes)
    on_progress: OnProgress = no_progress

    def __post_init__(self) -> None:
        self.output = Path(self.options.output)
        self.cache = Path(self.options.cache) if self.options.cache else self.output / "cache"
        self.task = self.options.read_task()
        if self.config.student.classes != len(self.task.classes):
            raise UsageError(
                f"The task {self.task.name} has {len(self.task.classes)} classes where the settings have "
                f"{self.config.student.classes}; leave the number of classes to the task."
            )
        self.store = self.config.data.store(self.cache, self.task)
        self.initial_note = ""  # on the weights of an initial model, set by `checked`
        self._scans: dict[str, Mapping[str, str]] = {}  # by fingerprint

    def checked(self) -> tuple[dict[str, Cohort], list[tuple[Split, int]]]:
        """Return cohorts by role and the folds to run; does all checks that are possible before a case is read.

        Raises: UsageError and other ReactkdErrors, each with one sentence; SameScan, see `check_apart`.
        """
        parts = self.parts_done()
        check_batches(self.config, parts, self.processes.world)
        check_steps(self.config, parts)
        check_untaught(parts, self.options)
        check_doses(self.config, self.options)
        self.initial_note = check_student(self.config, "answers" in parts) if "student" in parts else ""
        if self.initial_note:
            self.on_progress(0.0, self.initial_note)
        cohorts = self.open()
        check_apart(cohorts)
        check_ct(self.config, parts, cohorts)
        if "student" in parts:
            check_student_cases(self.config, cohorts)
        if "answers" in parts:
            check_branch(self.config, cohorts["cohort"])
        chosen = self.chosen(self.splits(cohorts))
        if self.options.stage == "student" and "answers" in parts:
            check_teachers(self.output, [number for _, number in chosen])
        return cohorts, chosen

    # -- opening and preparing

    def open(self) -> dict[str, Cohort]:
        """Return the cohorts by role; of the training cohort only the cases with a grade.

        Raises: UsageError if it has none; see `open_cohort`.
        """
        options, size = self.options, self.config.data.size
        whole = self.config.data.doses  # prepare the whole body, also in the external cohort
        given = {"cohort": options.cohort, "unlabeled": options.unlabeled, "external": options.external}
        check_map(options.map, *given.values())
        cohorts = {r: open_cohort(spec, size, whole, self.task, options.map) for r, spec in given.items() if spec}
        if not cohorts["cohort"].graded:
            raise UsageError(
                f"No case of the cohort {cohorts['cohort'].name} has a grade; training needs grades ("
                f"{', '.join(self.task.class_names)}), in the column 'grade' of a list, or in a grades.csv in the "
                "folder. CT without grades can be given as the unlabeled cohort."
            )
        cohorts["cohort"] = cohorts["cohort"].graded_alone()
        return cohorts

    def prepare(
        self,
        cohorts: dict[str, Cohort],
        on_progress: OnProgress = no_progress,
        stop: Callable[[], None] | None = None,
    ) -> dict[str, Cohort]:
        """Prepare every case once, divided among the processes, and share the list of unreadable cases among them.

        stop: see `prepare_cases`. Returns the cohorts without the unreadable cases, if they may be skipped.
        Raises: UnreadableCase; SameScan, see `check_scans_apart`; whatever `stop` raises.
        """
        doses = {role: self.cache / "doses" if role in self.dosed_roles else None for role in cohorts}
        makes = {role: partial(prepare_one, folder, self.store) for role, folder in doses.items()}
        own = slice(self.processes.rank, None, self.processes.world)
        read = {role: without_grades(cohort) if role == "unlabeled" else cohort for role, cohort in cohorts.items()}
        failed = prepare_cohorts(read, makes, own, Engine(self.options.jobs), on_progress, stop)
        for part in self.processes.gather(failed):
            failed = {role: failed[role] | part[role] for role in failed}
        skip = self.options.skip_unreadable
        cohorts = {role: without(cohort, failed[role], skip) for role, cohort in cohorts.items()}
        check_scans_apart(cohorts, lambda _role, case: self.scans(case))
        return cohorts

    def check_initial(
        self, cohorts: dict[str, Cohort], splits: list[Split], scans_of: Callable[[CohortCase], Mapping[str, str]]
    ) -> None:
        """Check that the student is tested on no case that its initial model was trained on; see `check_initial`."""
        if "student" in self.parts_done():
            tested = [case for split, _ in self.chosen(splits) for case in split.test]
            tested += cohorts["external"].cases if "external" in cohorts else ()
            check_initial(self.initial_scans, tested, scans_of)

    @property
    def initial_scans(self) -> frozenset[str]:
        """Return the scans that the student's initial model was trained on, if it lies in the folder of its run."""
        initial = self.config.student_stage.initial
        run = run_of_model(initial) if initial else None
        # a copy in the output folder is of another run, which is not known
        return frozenset() if run in (None, self.output.absolute()) else scans_of_run(run)

    def scans(self, case: CohortCase) -> Mapping[str, str]:
        """Return the `scan_contents` of a case that can be read; its images are read at most once."""
        if case.fingerprint not in self._scans:
            self._scans[case.fingerprint] = known_scans(self.store.scans(case), case)
        return self._scans[case.fingerprint]

    @property
    def dosed_roles(self) -> tuple[str, ...]:
        """Return the cohorts that the dose branch is trained on; empty if no teacher is trained."""
        return ("cohort", "unlabeled") if self.config.data.doses and "teacher" in self.parts_done() else ()

    def truncated(self, cohorts: dict[str, Cohort]) -> dict[str, dict[str, str]]:
        """Return for each cohort the scans for which no low dose can be simulated, with the reason."""
        roles = [role for role in self.dosed_roles if role in cohorts]
        return {role: at_native_dose(self.cache / "doses", self.store, cohorts[role].cases) for role in roles}

    # -- folds and parts

    def splits(self, cohorts: dict[str, Cohort]) -> list[Split]:
        """Return the split of every fold. Raises: see `make_folds`."""
        return make_folds(cohorts["cohort"].graded, self.config.folds, self.config.seed, self.config.data.validation)

    def chosen(self, splits: list[Split]) -> list[tuple[Split, int]]:
        """Return the folds to run with their numbers. Raises: UsageError for a fold that does not exist."""
        if self.options.fold >= len(splits):
            raise UsageError(
                f"There is no fold {self.options.fold}; with {len(splits)} folds they are 0 to {len(splits) - 1}."
            )
        return [(s, n) for n, s in enumerate(splits) if self.options.fold in (-1, n)]

    def parts_done(self) -> set[str]:
        """Return the parts of a fold (see `fold_costs`) that the options request."""
        stage, asks = self.options.stage, self.needs_teacher
        names = {"views"}
        if stage == "teacher" or (stage == "both" and asks):
            names |= {"teacher-heads", "teacher"}
        if stage != "teacher":
            names |= {"student-heads", "student"} | ({"answers"} if asks else set())
        return names

    @property
    def needs_teacher(self) -> bool:
        """Return True if the method of distillation needs teachers."""
        return make_distiller(self.config.method, self.config.distillation, 1, 1).needs_teacher

    def costs(self, cohorts: dict[str, Cohort]) -> dict[str, float]:
        """Return the parts of the run with their costs relative to preparing a case."""
        parts = {"prepare": COST["prepare"] * sum(len(c) for c in cohorts.values())}
        for split, number in self.chosen(self.splits(cohorts)):
            costs = fold_costs(self.config, split, len(cohorts.get("unlabeled", ())))
            parts |= {f"{part}{number}": cost for part, cost in costs.items() if part in self.parts_done()}
            parts[f"predict{number}"] = COST["answers"] * (len(split.test) + len(cohorts.get("external", ())))
        return parts
