"""Dry run: reads every case and reports what a training would use and need, without writing anything."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.regions import regions_of
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.text import plural, sentence
from REACTKDLib.core.worker.training_run import STAGES
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.folds import Split
from REACTKDTrainLib.cohorts.open_cohort import size_of
from REACTKDTrainLib.data.case import PreparedCase
from REACTKDTrainLib.data.dose_data import check_crops, fields_of
from REACTKDTrainLib.data.graded_lesions import check_lesions
from REACTKDTrainLib.data.scan_content import scan_contents
from REACTKDTrainLib.low_dose.field_of_view import TruncatedFieldOfView
from REACTKDTrainLib.low_dose.volumes import Scan
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.progress import duration
from REACTKDTrainLib.training.device import choose_device
from REACTKDTrainLib.training.fold_data import ROOM_VOXELS
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.preparation import without_grades
from REACTKDTrainLib.training.record import check_free, describe_cohort
from REACTKDTrainLib.training.run_checks import check_scans_apart
from REACTKDTrainLib.training.run_cohorts import RunCohorts

_TIMED = 3  # cases that are prepared, not only read, to estimate the time
_BYTES = 4
_OPTIMIZED = 4  # copies of the parameters: weights, gradients and AdamW's two moments


@dataclass
class Found:
    """Statistics from reading the cases of a cohort. seconds: to prepare a case; noise_seconds: to compute the noise of
    a CT; voxels: of the network's box of a case; cut_off: cases whose CT is cropped, out of `scans` CTs for the dose
    branch. contents: case id -> its `scan_contents`.
    """

    shapes: list[tuple[int, ...]] = field(default_factory=list)
    spacings: list[np.ndarray] = field(default_factory=list)
    liver_ml: list[float] = field(default_factory=list)
    lesions: list[int] = field(default_factory=list)
    bytes_read: int = 0
    seconds: list[float] = field(default_factory=list)
    noise_seconds: list[float] = field(default_factory=list)
    voxels: list[int] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)
    scans: int = 0
    contents: dict[str, dict[str, str]] = field(default_factory=dict)


def dry_run(options: RunOptions, on_progress: OnProgress = no_progress) -> list[str]:
    """Check everything that a training checks before it starts, and read every case; nothing is written.

    Returns: lines for display: cohorts, classes, sizes, folds, steps, estimated time and memory, cases that cannot be
    read.
    Raises: whatever `run_experiment` raises before it starts, for example for a class with fewer patients than folds.

    Example:
        >>> print("\\n".join(dry_run(RunOptions("phantom:hospital?cases=24&size=tiny", Path("run")))))
    """
    config = options.training_config(size_of(options.cohort), options.read_task())
    choose_device(options.device)  # refuses one that is not there
    run = RunCohorts(options, config, on_progress=on_progress)
    check_free(run.output, options.resume)
    cohorts, chosen = run.checked()
    total, done, lines, found = sum(map(len, cohorts.values())), 0, [], {}
    for role, cohort in cohorts.items():
        found[role] = Found()
        for case in (without_grades(cohort) if role == "unlabeled" else cohort).cases:
            _read(case, run, found[role], doses=role in run.dosed_roles)
            done += 1
            on_progress(done / total, "reading cases")
        check_crops(found[role].cut_off, found[role].scans)
        lines += _cohort_lines(role, cohort, found[role])
    check_scans_apart(cohorts, lambda role, case: found[role].contents.get(case.id, {}))
    contents = {id(case): found[role].contents.get(case.id, {}) for role in cohorts for case in cohorts[role].cases}
    run.check_initial(cohorts, run.splits(cohorts), lambda case: contents[id(case)])
    for split, number in chosen:
        lines.append(_fold_line(split, number, config.folds))
    own = found["cohort"]
    if not own.voxels:
        raise UsageError(f"No case of the cohort {cohorts['cohort'].name} can be read; the first: {own.failed[0][1]}")
    lines += _step_lines(run, chosen[0][0])
    lines += [sentence(f"{run.initial_note}.")] if run.initial_note else []
    lines += [_time_line(run, cohorts, own), _memory_line(run, chosen[0][0], own)]
    failed = [pair for each in found.values() for pair in each.failed]
    lines += [f"Case {name} cannot be read: {reason}" for name, reason in failed]
    if failed:
        lines.append(f"{plural(len(failed), 'case')} would be left out with --skip-unreadable, or end the run.")
    return lines


def _read(case: CohortCase, run: RunCohorts, found: Found, doses: bool) -> None:
    try:
        opened = case.load()
        regions = regions_of(opened)
        check_lesions(case.grade, len(regions.lesions))
        if doses and "ct" in case.modalities:
            _look_at_edge(case, opened, found)
        if len(found.seconds) < _TIMED:
            started = time.perf_counter()
            prepared = run.store.make(case)
            found.seconds.append(time.perf_counter() - started)
            found.voxels.append(math.prod(prepared.shape))
            if doses and "ct" in case.modalities:
                found.noise_seconds.append(_seconds_of_noise(case, run, prepared))
    except ReactkdError as error:
        found.failed.append((case.id, str(error)))
        return
    found.contents[case.id] = scan_contents(opened)
    found.shapes.append(opened.reference.array.shape)
    found.spacings.append(np.linalg.norm(opened.reference.ijk_to_ras[:3, :3], axis=0))
    found.liver_ml.append(sum(region.volume_ml for region in regions.regions))
    found.lesions.append(len(regions.lesions))
    size = sum(volume.array.nbytes for volume in opened.volumes.values()) + opened.liver.nbytes + opened.tumor.nbytes
    found.bytes_read = max(found.bytes_read, size)


def _look_at_edge(case: CohortCase, opened: Case, found: Found) -> None:
    """Record whether noise can be simulated for a CT, before any is computed. Raises: other errors of `Scan.of`."""
    found.scans += 1
    try:
        Scan.of(opened.volumes[Modality.CT])
    except TruncatedFieldOfView:
        found.cut_off.append(case.id)


def _seconds_of_noise(case: CohortCase, run: RunCohorts, prepared: PreparedCase) -> float:
    started = time.perf_counter()
    with suppress(TruncatedFieldOfView):  # the dose branch uses such a scan at its original dose
        fields_of(run.store, case, prepared)
    return time.perf_counter() - started


def _cohort_lines(role: str, cohort: Cohort, found: Found) -> list[str]:
    about = describe_cohort(cohort)
    classes = ", ".join(f"{name} {count}" for name, count in about["grades"].items() if count or name != "none")
    images = Counter("+".join(case.modalities) for case in cohort.cases)
    name = {"cohort": "Cohort", "unlabeled": "Unlabeled cohort", "external": "External cohort"}[role]
    lines = [
        f"{name} {cohort.name}: {plural(about['cases'], 'case')} of {plural(about['patients'], 'patient')}; {classes}.",
        "  images: " + ", ".join(f"{key} {count}" for key, count in images.most_common()),
    ]
    if cohort.skipped:
        lines.append(f"  left out: {plural(len(cohort.skipped), 'case')}; the first, {cohort.skipped[0][0]}: "
                     f"{cohort.skipped[0][1]}")  # fmt: skip
    if found.cut_off:
        scans = f"{plural(len(found.cut_off), 'CT scan')} of {found.scans}, the first of case {found.cut_off[0]}"
        lines.append(f"  cut off, so that the dose branch sees a CT at its own dose alone: {scans}")
    if found.shapes:
        low, high = (f(np.array([s[::-1] for s in found.shapes]), axis=0) for f in (np.min, np.max))
        least, most = (f(found.spacings, axis=0) for f in (np.min, np.max))
        lines += [
            f"  voxels: {_range(low, high, '{:d}')}, of {_range(least, most, '{:.3g}')} mm",
            f"  {cohort.task.organ.name} {_span(found.liver_ml)} ml; {plural(sum(found.lesions), 'lesion')}, "
            f"{_span(found.lesions)} in each case",
        ]
    return lines


def _range(low: np.ndarray, high: np.ndarray, form: str) -> str:
    first, last = (" x ".join(form.format(v) for v in values.tolist()) for values in (low, high))
    return first if first == last else f"{first} to {last}"


def _span(values: Sequence[float]) -> str:
    first, last = (f"{value:.0f}" for value in (min(values), max(values)))
    return first if first == last else f"{first} to {last}"


def _fold_line(split: Split, number: int, folds: int) -> str:
    parts = {"training": split.train, "validation": split.validation} | ({"test": split.test} if folds > 1 else {})
    text = []
    for name, cases in parts.items():
        grades = [case.grade for case in cases]
        text.append(f"{len(cases)} {name} ({'/'.join(str(grades.count(g)) for g in range(max(grades) + 1))})")
    return f"Fold {number} of 0 to {folds - 1}: {', '.join(text)}; cases of each class in brackets."


def _step_lines(run: RunCohorts, split: Split) -> list[str]:
    text, again = [], ""
    for part, name in STAGES.items():
        stage = getattr(run.config, name)
        _, steps = stage.steps_over(len(split.train))
        if part in run.parts_done() and steps:
            text.append(f"{part.replace('-', ' ')} {steps} x {stage.batch}")
            if stage.batch > len(split.train):
                again = " A step of more cases than the fold has takes them several times."
    return [f"Steps in a fold x cases in a step: {', '.join(text)}.{again}"]


def _time_line(run: RunCohorts, cohorts: dict[str, Cohort], found: Found) -> str:
    each = float(np.median(found.seconds))
    parts = run.costs(cohorts)
    prepare, about = parts.pop("prepare") * each, f"{each:.2g} s a case"
    if found.noise_seconds:
        noise = float(np.median(found.noise_seconds))
        dosed = [case for role in run.dosed_roles if role in cohorts for case in cohorts[role].cases]
        prepare += noise * sum("ct" in case.modalities for case in dosed)
        about += f", and {noise:.2g} s for the noise of a CT"
    prepare /= run.options.jobs
    return (
        f"Time, about: {duration(prepare)} to prepare ({about}), {duration(sum(parts.values()) * each)} to "
        "train on a CPU like this one, less on a GPU. No step was timed: it may take half or twice as long."
    )


def _memory_line(run: RunCohorts, split: Split, found: Found) -> str:
    config, voxels = run.config, max(found.voxels)
    views = len(split.train) * config.data.views + len(split.validation)
    kept = max(min(views, ROOM_VOXELS // voxels), 1)
    images = len(config.student.modalities)
    view = voxels * _BYTES * (images + 1 + float(np.mean(found.lesions)))
    models = sum(p.numel() for model in (Student(config.student), Teacher(config.teacher)) for p in model.parameters())
    total = kept * view + found.bytes_read + models * _BYTES * _OPTIMIZED
    views_gb, networks_gb = _gb(kept * view), _gb(models * _BYTES * _OPTIMIZED)
    return (
        f"Memory, about: {_gb(total)} and the activations of a batch, which the setting accumulate divides. {views_gb} "
        f"are for {plural(kept, 'view')}, {_gb(found.bytes_read)} for the largest case, {networks_gb} for networks and "
        "optimizers."
    )


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"
