"""A whole cohort at another dose: its test sets are written once and opened as a cohort for training.

The cases keep their ids, patients, grades and masks; only the CT is replaced. Phantom cohorts must show the whole body
(`phantom:external?whole_field=1`), since no low dose can be simulated on a crop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from REACTKDLib.core.errors import OutputNotWritable, ReactkdError, UsageError
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.text import plural
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.low_dose.calibration import METHOD
from REACTKDTrainLib.low_dose.cohort import LEVELS, TEST_SEEDS, DoseTestSets

_MODE = "log"  # of the simulation, as for the test sets


def write_test_sets(
    cohort: Cohort, sets: DoseTestSets, on_progress: OnProgress = no_progress
) -> tuple[tuple[str, str], ...]:
    """Write every level and seed of every case with a CT; return (case, reason) for those that could not be simulated.

    Existing files are kept. on_progress: a fraction and a text; it cancels by raising.
    Raises: UsageError if no case could be simulated; OutputNotWritable.
    """
    left_out = []
    for number, case in enumerate(cohort.cases):
        on_progress(number / len(cohort.cases), case.id)
        try:
            sets.write(case.id, _ct_of(case.load(), case.id))
        except OutputNotWritable:
            raise
        except ReactkdError as error:
            left_out.append((case.id, str(error)))
    on_progress(1.0, f"{len(cohort.cases)} cases")
    if len(left_out) == len(cohort.cases):
        raise UsageError(f"No case of the cohort could be simulated; the first: {left_out[0][1]}")
    return tuple(left_out)


def at_dose(cohort: Cohort, folder: Path, level: str, seed: int = TEST_SEEDS[0]) -> Cohort:
    """Return the cohort with its CT at one of `LEVELS`, simulated when a case is first opened and stored in `folder`.

    The photon budget is fitted to the noise of each scan, so that a tenth of the dose is a tenth of the scan's own
    dose. Cases without CT are excluded.
    Raises: UsageError for an unknown level, or a cohort without CT; a case may raise TruncatedFieldOfView when it is
    opened.
    """
    if level not in LEVELS:
        raise UsageError(f"There is no level '{level}'; choose one of {', '.join(LEVELS)}.")
    cases = tuple(_dosed(case, Path(folder), level, seed) for case in cohort.cases if "ct" in case.modalities)
    without = tuple((c.id, "It has no CT.") for c in cohort.cases if "ct" not in c.modalities)
    description = f"{cohort.description}; CT at {level} dose ({LEVELS[level]:g} of its own), noise seed {seed}"
    return replace(cohort, cases=cases, description=description, skipped=(*cohort.skipped, *without))


def _dosed(case: CohortCase, folder: Path, level: str, seed: int) -> CohortCase:
    if LEVELS[level] == 1.0:
        return case
    recipe = f"{case.fingerprint} {level} {LEVELS[level]} {seed} {_MODE} {METHOD}"
    return replace(
        case,
        load=partial(open_dosed, case.load, case.id, folder, level, seed),
        fingerprint=content_key(recipe),
        provenance=f"{case.provenance}; CT at {LEVELS[level]:g} of its dose, noise seed {seed}".lstrip("; "),
    )


def open_dosed(load: Callable[[], Case], case_id: str, folder: Path, level: str, seed: int) -> Case:
    """Open a case and replace its CT by that of a test set, which is written first if it is missing."""
    case = load()
    ct = _ct_of(case, case_id)
    sets = DoseTestSets(folder, {level: LEVELS[level]}, (seed,), _MODE, calibrate=True)
    (path,) = sets.write(case_id, ct)
    low = ct.with_array(read_volume(path, Modality.CT).array)
    dosed = replace(case, volumes={m: low if m is Modality.CT else v for m, v in case.volumes.items()})
    dosed.derived.update(case.derived)  # valid, since the masks are the same
    return dosed


def _ct_of(case: Case, case_id: str) -> Volume:
    if Modality.CT not in case.volumes:
        raise UsageError(f"Case {case_id} has no CT.")
    return case.volumes[Modality.CT]


def summary(sets: DoseTestSets, left_out: Iterable[tuple[str, str]]) -> list[str]:
    """Return lines for display: added noise by level, then the excluded cases with the reasons."""
    rows, lines = sets.table(), []
    for level, dose in sets.levels.items():
        own = [row for row in rows if row["level"] == level]
        stds = [row["added_std_hu"] for row in own if row["added_std_hu"] is not None]
        scans = f"{plural(len(own), 'volume')} of {plural(len({row['case'] for row in own}), 'case')}"
        text = f"{level} ({dose:g} of the dose): {scans}"
        if stds and dose < 1:
            noise = f"{median(stds):.1f} HU added in soft tissue (median; {min(stds):.1f} to {max(stds):.1f})"
            text += f", noise of {noise}"
        lines.append(text)
    return lines + [f"{case}: left out: {reason}" for case, reason in left_out]
