"""What of a run can be refused before a case is read: batches, doses, images, and teachers that are not there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.fingerprint import files_behind, fingerprint_of
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.worker.training_run import STAGES
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.listed import MISSING
from REACTKDTrainLib.distillation.auxiliary import truths_of
from REACTKDTrainLib.models.teacher_heads import PET
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.stages import Initial

#: role -> for messages
_CALLED = {"cohort": "cohort", "unlabeled": "unlabeled cohort", "external": "external cohort"}


def check_batches(config: TrainingConfig, parts: Collection[str], processes: int) -> None:
    """Each batch is divided among the processes, and there into parts. parts: of a fold, that will be done.

    Raises: UsageError for a batch that cannot be.
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


def check_student(config: TrainingConfig, taught: bool = False) -> str:
    """What the student begins with and what of it stays as it is. Return words on the former, "" where it begins anew.

    taught: by teachers.

    Raises: UsageError for a prefix in `student_stage.frozen` with which no parameter begins; what `Initial.of` raises.
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
    """A student without teachers has no use for what teachers learn from. parts: of a fold, that will be done.

    Raises: UsageError for an option that is theirs alone.
    """
    for name in ("unlabeled", "teacher_epochs", "teacher_batch"):
        if getattr(options, name) and not {"teacher", "answers"} & set(parts):
            raise UsageError(
                f"The option --{name.replace('_', '-')} is for teachers, and the method none asks none; leave it out, "
                "or choose another method."
            )


def check_doses(config: TrainingConfig, options: RunOptions) -> None:
    """CT without grades teaches consistency between doses. Raises: UsageError where there are none, or it counts 0."""
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
    """Teachers read CT, alone or with PET. Raises: UsageError for a case without, where they learn from it or teach."""
    reads = {"cohort": "teacher" in parts or "answers" in parts}
    reads["unlabeled"] = "teacher" in parts and config.loss.consistency > 0
    for role, cohort in cohorts.items():
        without = [case.id for case in cohort.cases if "ct" not in case.modalities]
        if without and reads.get(role):
            raise UsageError(
                f"Case {without[0]} has no CT, which the teachers need; leave such cases out, or train the student "
                "alone (the method none)."
            )


def check_student_cases(config: TrainingConfig, cohort: Cohort) -> None:
    """What the student learns from each case is there.

    Raises: UsageError for a case without an image that the student reads, and for one without latents where they are
    to be regressed.
    """
    reads = config.student.modalities
    without = [case for case in cohort.cases if not set(reads) & set(case.modalities)]
    if without:
        raise UsageError(
            f"Case {without[0].id} has {' and '.join(without[0].modalities)} where the student reads "
            f"{', '.join(reads)} alone (the setting student.modalities); leave such cases out, or let it read more."
        )
    if config.loss.auxiliary:
        truths_of(cohort.cases)


def check_branch(config: TrainingConfig, cohort: Cohort) -> None:
    """A branch that teaches alone reads every case. Raises: UsageError for a case without PET, where it needs one."""
    without = [case.id for case in cohort.cases if not set(PET) & set(case.modalities)]
    if without and config.distillation.teacher == "structure_function":
        raise UsageError(
            f"Case {without[0]} has no PET, which the branch of structure and function needs to teach alone; leave "
            "such cases out, or set distillation.teacher to fused or dose."
        )


def check_apart(cohorts: Mapping[str, Cohort]) -> None:
    """What is trained on cannot be tested on, whatever it is called there.

    Raises: UsageError for a case that two cohorts of a run have, or an image: with another name, masks or other images
    beside it a scan is the same one. Also for an image that two patients of the graded cohort have, who may lie in
    different folds. Files are read where others have their sizes.
    """
    seen: dict[str, tuple[str, CohortCase]] = {}
    of_sizes: dict[tuple[int, ...], list[tuple[str, CohortCase, list[Path]]]] = {}
    for role, cohort in cohorts.items():
        for case in cohort.cases:
            if not case.fingerprint.startswith(MISSING):
                _only_in(role, case, seen, case.fingerprint)
            if case.truth is not None:
                _only_in(role, case, seen, case.id)  # a phantom of one number is one patient, at whatever size
            for path in case.image_files:
                files = files_behind(path)
                of_sizes.setdefault(tuple(file.stat().st_size for file in files), []).append((role, case, files))
    for group in of_sizes.values():
        alike: dict[str, tuple[str, CohortCase]] = {}
        for role, case, files in group if len({(role, case.patient) for role, case, _ in group}) > 1 else ():
            _only_in(role, case, alike, fingerprint_of(files))


def _only_in(role: str, case: CohortCase, seen: dict[str, tuple[str, CohortCase]], content: str) -> None:
    """Note where a content was seen first. Raises: UsageError where that was another role's cohort, or another patient
    of those that folds part.
    """
    other, first = seen.setdefault(content, (role, case))
    if other != role:
        names = case.id if case.id == first.id else f"{case.id} ({first.id} there)"
        raise UsageError(
            f"Case {names} of the {_CALLED[role]} is in the {_CALLED[other]} too; a network cannot be tested "
            "on what it was trained on: take it out of one of them."
        )
    if role == "cohort" and case.patient != first.patient:
        raise UsageError(
            f"Cases {first.id} and {case.id} of the {_CALLED[role]} are one scan under two patients, and folds would "
            "train on one and test on the other; take one of them out, or give both one patient."
        )


def check_teachers(output: Path, folds: Iterable[int]) -> None:
    """The stage 'student' needs the teachers of its folds. Raises: UsageError for one that is not there."""
    for number in folds:
        if not (output / f"fold{number}" / "teacher" / "last.pt").is_file():
            raise UsageError(
                f"There is no trained teacher for fold {number} in the output folder; run the stage 'teacher' or "
                "'both' first."
            )
