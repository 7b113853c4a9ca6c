"""Preparation of all cases of a run before training, so that unreadable cases are known at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from REACTKDLib.core.errors import OutputNotWritable, ReactkdError
from REACTKDLib.core.job_engines import HERE, Engine
from REACTKDLib.core.job_pool import JobPool
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.data.dose_data import prepare_fields_or_note
from REACTKDTrainLib.data.graded_lesions import check_lesions
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.progress import WeightedProgress

Prepare = Callable[[CohortCase], None]


class UnreadableCase(ReactkdError):
    """A case of a cohort cannot be read."""

    code = "unreadable-case"


def prepare_one(doses: Path | None, store: PreparedStore, case: CohortCase) -> None:
    """Prepare a case, and its noise if it has a CT. doses: the folder of the noise; None: no noise.

    Raises: see `PreparedStore.get`; GradeWithoutLesion.
    """
    check_lesions(case.grade, len(store.get(case).masks[0]) - 1)
    if doses is not None and "ct" in case.modalities:
        prepare_fields_or_note(doses, store, case)


def prepare_cases(
    cases: Sequence[CohortCase],
    make: Prepare,
    engine: Engine = HERE,
    on_progress: OnProgress = no_progress,
    stop: Callable[[], None] | None = None,
) -> dict[str, str]:
    """Call `make` for each case on `engine`. Returns case id -> reason why it cannot be read.

    stop: called after every case; raises to end the run.
    Raises: WorkerLost; OutputNotWritable, which is no fault of the case; whatever `stop` raises.
    """
    failed: dict[str, str] = {}
    with JobPool(partial(_error_of, make), engine) as pool:
        for case, error in pool.results(cases, on_progress):
            if error is not None:
                failed[case.id] = str(error)
            if stop is not None:
                stop()
    return failed


def prepare_cohorts(
    cohorts: Mapping[str, Cohort],
    makes: Mapping[str, Prepare],
    own: slice = slice(None),
    engine: Engine = HERE,
    on_progress: OnProgress = no_progress,
    stop: Callable[[], None] | None = None,
) -> dict[str, dict[str, str]]:
    """`prepare_cases` for each cohort separately, since cases of two cohorts may have the same name.

    cohorts, makes: by role. own: the cases of each cohort that this process prepares. Returns role -> case id -> reason
    why it cannot be read. Raises: see `prepare_cases`.
    """
    whole = WeightedProgress({role: len(cohort) for role, cohort in cohorts.items()}, on_progress)

    def of_role(role: str) -> OnProgress:
        part = whole.part(role)
        return lambda fraction, _: part(fraction, "preparing cases")

    return {
        role: prepare_cases(cohort.cases[own], makes[role], engine, of_role(role), stop)
        for role, cohort in cohorts.items()
    }


def without(cohort: Cohort, failed: dict[str, str], skip: bool) -> Cohort:
    """Return the cohort without its unreadable cases, if they may be skipped.

    Raises: UnreadableCase that names the first one, or says that no case is left.
    """
    own = [(case.id, failed[case.id]) for case in cohort.cases if case.id in failed]
    if not own:
        return cohort
    name, reason = own[0]
    if not skip:
        more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
        raise UnreadableCase(f"Case {name} cannot be read{more}: {reason} Or leave such cases out (--skip-unreadable).")
    kept = tuple(case for case in cohort.cases if case.id not in failed)
    if not kept:
        raise UnreadableCase(f"No case of the cohort {cohort.name} can be read; the first, {name}: {reason}")
    return replace(cohort, cases=kept, skipped=(*cohort.skipped, *own))


def without_grades(cohort: Cohort) -> Cohort:
    """Return the cohort as the unlabeled one of a run is used: its grades, if it has any, are not read."""
    return replace(cohort, cases=tuple(replace(case, grade=None) for case in cohort.cases))


def _error_of(make: Prepare, case: CohortCase) -> ReactkdError | None:
    try:
        make(case)
    except OutputNotWritable:  # a full disk must not remove cases from a training
        raise
    except ReactkdError as error:
        return error
    return None
