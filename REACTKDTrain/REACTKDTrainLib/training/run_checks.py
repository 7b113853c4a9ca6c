"""Checks of a run before it trains: batches, doses, images, overlap of cohorts and folds, and missing teachers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.fingerprint import files_behind, fingerprint_of
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.text import MOST_NAMED, quoted
from REACTKDLib.core.worker.training_run import STAGES, fold_files
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.folds import FoldsImpossible, Split
from REACTKDTrainLib.cohorts.listed import MISSING
from REACTKDTrainLib.distillation.auxiliary import truths_of
from REACTKDTrainLib.models.teacher_heads import PET
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.predictions import read_rows
from REACTKDTrainLib.training.record import short_hashes
from REACTKDTrainLib.training.stages import Initial

#: role -> name in messages
_CALLED = {"cohort": "cohort", "unlabeled": "unlabeled cohort", "external": "external cohort"}


class SameScan(UsageError):
    """A scan is in two parts that must be disjoint."""


def check_batches(config: TrainingConfig, parts: Collection[str], processes: int) -> None:
    """Check that each batch can be divided among the processes and then into parts. parts: of a fold, that will be run.

    Raises: UsageError for a batch that cannot be divided evenly.
    """
    for part, name in STAGES.items():
        stage = getattr(config, name)
        if part in parts and stage.batch % (processes * stage.accumulate):
            among = f"{processes} processes" if processes > 1 else "one process"
            among += f" in {stage.accumulate} parts each" if stage.accumulate > 1 else ""
            raise UsageError(
                f"The setting {name}.batch is {stage.batch}, which {among} cannot divide evenly; set it to a multiple "
                f"of {processes * stage.accumulate}."
            )


def check_steps(config: TrainingConfig, parts: Collection[str]) -> None:
    """Check that each network is trained in one of its stages. parts: of a fold, that will be run.

    Raises: UsageError for a network whose stages all have 0 epochs and steps, which would keep its random weights.
    """
    has_heads = {
        "teacher": bool(config.teacher.blocks),
        "student": Student(config.student).fixed_size > 0 and not config.student_stage.initial,
    }
    for name, heads in has_heads.items():
        stages = [f"{name}_stage", *([f"{name}_heads"] if heads else [])]
        steps = [getattr(config, stage).epochs or getattr(config, stage).steps for stage in stages]
        if name in parts and not any(steps) and not getattr(config, f"{name}_stage").initial:
            raise UsageError(
                f"The {name} would keep its random weights: {' and '.join(stages)} have 0 epochs and 0 steps; set one "
                "of them to more."
            )


def check_student(config: TrainingConfig, taught: bool = False) -> str:
    """Check the student's initial model and frozen prefixes. Returns a text about the initial model, "" without one.

    taught: with teachers.

    Raises: UsageError for a prefix in `student_stage.frozen` that matches no parameter; see `Initial.of`.
    """
    student = Student(config.student)
    names = [name for name, _parameter in student.named_parameters()]
    for prefix in config.student_stage.frozen:
        if not any(name.startswith(prefix) for name in names):
            known = ", ".join(sorted({name.partition(".")[0] + "." for name in names}))
            raise UsageError(
                f"No parameter of the student begins with {prefix!r}, which the setting student_stage.frozen names; "
                f"they begin with {known}"
            )
    initial = config.student_stage.initial
    return Initial.of(student, initial, taught).words if initial else ""


def check_untaught(parts: Collection[str], options: RunOptions) -> None:
    """Check that a student without teachers has no options that apply to teachers. parts: of a fold, that will be run.

    Raises: UsageError for an option that only applies to teachers.
    """
    for name in ("unlabeled", "teacher_epochs", "teacher_batch"):
        if getattr(options, name) and not {"teacher", "answers"} & set(parts):
            raise UsageError(
                f"The option --{name.replace('_', '-')} is for teachers, and the method none asks none; leave it out, "
                "or choose another method."
            )


def check_doses(config: TrainingConfig, options: RunOptions) -> None:
    """CT without grades trains consistency between doses. Raises: UsageError without doses, or with a weight of 0."""
    if options.unlabeled and not config.loss.consistency:
        raise UsageError(
            "CT without grades teaches consistency between doses, but the setting loss.consistency is 0; set it to "
            "more, or leave out the unlabeled cohort."
        )
    if options.unlabeled and not config.data.doses:
        raise UsageError(
            "CT without grades teaches consistency between doses, but the setting data.doses is false; set it to true, "
            "or leave out the unlabeled cohort."
        )


def check_ct(config: TrainingConfig, parts: Collection[str], cohorts: Mapping[str, Cohort]) -> None:
    """Teachers read CT, alone or with PET. Raises: UsageError for a case without CT, if teachers use the case."""
    reads = {"cohort": "teacher" in parts or "answers" in parts}
    reads["unlabeled"] = "teacher" in parts and config.loss.consistency > 0
    for role, cohort in cohorts.items():
        without = [case.id for case in cohort.cases if "ct" not in case.modalities]
        if without and reads.get(role):
            raise UsageError(
                f"{_naming(without)} no CT, which the teachers need; leave such cases out, or train the student "
                "alone (the method none)."
            )


def _naming(cases: Sequence[str]) -> str:
    """Return "Case 'a' has" or "Cases 'a', 'b' have", so that nobody has to take them out one by one."""
    return f"Case {quoted(cases)} has" if len(cases) == 1 else f"Cases {quoted(cases)} have"


def check_student_cases(config: TrainingConfig, cohorts: Mapping[str, Cohort]) -> None:
    """Check that each case has what the student is trained on, and each external one an image that it reads.

    Raises: UsageError for a case without any image that the student reads, and for one without latent variables if they
    are regressed.
    """
    reads = config.student.modalities
    cases = [case for role in ("cohort", "external") if role in cohorts for case in cohorts[role].cases]
    without = [case for case in cases if not set(reads) & set(case.modalities)]
    if without:
        raise UsageError(
            f"Case {without[0].id} has {' and '.join(without[0].modalities)} where the student reads "
            f"{', '.join(reads)} alone (the setting student.modalities); leave such cases out, or let it read more."
        )
    if config.loss.auxiliary:
        truths_of(cohorts["cohort"].cases)


def check_branch(config: TrainingConfig, cohort: Cohort) -> None:
    """Check that a branch that is distilled alone can read every case. Raises: UsageError for a case without PET."""
    without = [case.id for case in cohort.cases if not set(PET) & set(case.modalities)]
    if without and config.distillation.teacher == "structure_function":
        raise UsageError(
            f"{_naming(without)} no PET, which the branch of structure and function needs to teach alone; leave such "
            "cases out, or set distillation.teacher to fused or dose."
        )


def check_apart(cohorts: Mapping[str, Cohort]) -> None:
    """Check that no case or image is in two parts that must be disjoint, even under different names.

    Raises: SameScan for a case that is in two cohorts of a run, or for an image that is: it is the same scan even
    with another name, other masks or other accompanying images. Also for an image that belongs to two patients of the
    graded cohort, who may be in different folds. File contents are only compared if the sizes are equal.
    """
    seen: dict[str, tuple[str, CohortCase]] = {}
    of_sizes: dict[tuple[int, ...], list[tuple[str, CohortCase, list[Path]]]] = {}
    for role, cohort in cohorts.items():
        for case in cohort.cases:
            if not case.fingerprint.startswith(MISSING):
                _only_in(role, case, seen, case.fingerprint)
            if case.truth is not None:
                _only_in(role, case, seen, case.id)  # phantoms with the same number are one patient, at any size
            for path in case.image_files:
                files = files_behind(path)
                of_sizes.setdefault(tuple(file.stat().st_size for file in files), []).append((role, case, files))
    for group in of_sizes.values():
        alike: dict[str, tuple[str, CohortCase]] = {}
        for role, case, files in group if len({(role, case.patient) for role, case, _ in group}) > 1 else ():
            _only_in(role, case, alike, fingerprint_of(files))


def check_scans_apart(cohorts: Mapping[str, Cohort], scans_of: Callable[[str, CohortCase], Mapping[str, str]]) -> None:
    """Check what `check_apart` checks by the voxels of cases that were read: a scan that was saved again, in another
    format or compressed anew, has another file.

    scans_of: returns the `scan_contents` of a case of a role. Raises: SameScan.
    """
    seen: dict[str, tuple[str, CohortCase]] = {}
    for role, cohort in cohorts.items():
        for case in cohort.cases:
            for modality, content in scans_of(role, case).items():
                _only_in(role, case, seen, f"{modality} {content}")


def check_initial(
    known: Collection[str], tested: Iterable[CohortCase], scans_of: Callable[[CohortCase], Mapping[str, str]]
) -> None:
    """Check that the student's initial model was trained on no scan of the cases that the student is tested on.

    known: the `scans_of_run` of the run that wrote the model. scans_of: returns the `scan_contents` of a case.
    Raises: SameScan that names the cases.
    """
    seen = [case.id for case in tested if known and not short_hashes(scans_of(case)).isdisjoint(known)]
    if seen:
        raise SameScan(
            "The initial model (the setting student_stage.initial) was trained on scans of "
            f"{quoted(seen, MOST_NAMED)}, on which this run would test its student; begin with another model, or test "
            "on other cases (with one fold on an external cohort alone)."
        )


def _only_in(role: str, case: CohortCase, seen: dict[str, tuple[str, CohortCase]], content: str) -> None:
    """Record where a content first occurs. Raises: SameScan if that is the cohort of another role, or another patient
    of the cohort that is divided into folds.
    """
    other, first = seen.setdefault(content, (role, case))
    if other != role:
        names = case.id if case.id == first.id else f"{case.id} ({first.id} there)"
        raise SameScan(
            f"Case {names} of the {_CALLED[role]} is in the {_CALLED[other]} too; a network cannot be tested "
            "on what it was trained on: take it out of one of them."
        )
    if role == "cohort" and case.patient != first.patient:
        raise SameScan(
            f"Cases {first.id} and {case.id} of the {_CALLED[role]} are one scan under two patients, and folds would "
            "train on one and test on the other; take one of them out, or give both one patient."
        )


def check_teachers(output: Path, folds: Iterable[int]) -> None:
    """Check that the teachers exist which the stage 'student' needs for its folds. Raises: UsageError."""
    for number in folds:
        if not (output / f"fold{number}" / "teacher" / "last.pt").is_file():
            raise UsageError(
                f"There is no trained teacher for fold {number} in the output folder; run the stage 'teacher' or "
                "'both' first."
            )


def check_other_folds(
    output: Path, splits: Sequence[Split], chosen: Collection[int], external: Sequence[CohortCase] = ()
) -> None:
    """Check that the folds which an earlier call predicted, and this one does not, tested the cases that they would
    test now.

    Otherwise a case would be held out in two folds and another one in none: if the folds of a list were changed, or a
    case could not be read in one of the calls. splits: of all folds. chosen: numbers of the folds of this call.

    Raises: FoldsImpossible; UsageError for a damaged file.
    """
    tested = {"test": {n: split.test for n, split in enumerate(splits)}}
    tested["external"] = dict.fromkeys(range(len(splits)), external)
    for part, of_fold in tested.items():
        for number, path in fold_files(output, f"{part}.json").items():
            if number in chosen:
                continue
            rows = read_rows(path)
            # teachers alone predict no case without CT
            alone = all(row.model != "student" for row in rows)
            now = {case.id for case in of_fold.get(number, ()) if "ct" in case.modalities or not alone}
            if {row.case for row in rows} != now:
                raise FoldsImpossible(
                    f"The fold {number} in the output folder was tested on other cases than it would be now (the folds "
                    f"of the list differ, or other cases can be read); remove fold{number} from the output folder and "
                    "train that fold again, or choose another output folder."
                )
