"""Opening a cohort from its text form: phantoms by number, a datalist, or a folder with a known layout."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

from REACTKDLib.core.errors import FileMissing, TaskMismatch, UsageError
from REACTKDLib.core.phantom.biology_shared import HETEROGENEITY
from REACTKDLib.core.phantom.latents import PREVALENCE
from REACTKDLib.core.phantom.patient import draw_grade_and_latents
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDTrainLib.cohorts.base import Cohort
from REACTKDTrainLib.cohorts.grade_words import GradeWords
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.cohorts.sizes import SIZES

#: phantom cohort -> default (number of cases, first number)
PHANTOMS = {"hospital": (97, 0), "external": (105, 0), "unlabeled": (131, 0), "large": (1200, 2500)}
PREFIX = "phantom:"


def open_cohort(
    spec: str, size: str = "full", whole_field: bool = False, task: Task = HCC_GRADE, grades: str = ""
) -> Cohort:
    """Open `phantom:hospital?cases=24&size=tiny&first=0`, a datalist (.json), a worklist (.csv) or a folder.

    size, whole_field: defaults for phantoms if `spec` does not set them; see `phantom_case`. A phantom cohort accepts
    `biology=independent` for the first edition, or `heterogeneity=0.4` for the second.

    task: defines the classes of the grades; phantoms and the known folder layouts are for the built-in one. grades: the
    meaning of a list's own grade names, "G1=well,G2=moderate,G3=poor"; not for phantoms and known layouts.

    Raises: UsageError, TaskMismatch, FileMissing, or what the layout's reader raises, with what is wrong and where.
    """
    spec, words = str(spec).strip(), GradeWords.from_text(grades)
    if spec.startswith(PREFIX):
        if task != HCC_GRADE:
            text = f"Digital phantoms are of the task {HCC_GRADE.name}, not of {task.name}; give cases of that task."
            raise TaskMismatch(text)
        return _phantoms(spec, size, whole_field)
    if not spec:
        raise UsageError("No cohort was given; give a folder, a datalist, or phantom:hospital to try things out.")
    path = Path(spec)
    if not path.exists():
        raise FileMissing(
            "There is no cohort at the path given; give a folder, a datalist (.json) or a worklist (.csv), or "
            "phantom:hospital to try things out."
        )
    from REACTKDTrainLib.cohorts.listed import listed_cohort

    return listed_cohort(path, task, words)


def check_map(grades: str, *specs: str) -> None:
    """Raise UsageError for a mapping of grades that no cohort uses: phantoms and known layouts define their own grades.

    grades: as in `open_cohort`, for all `specs`; empty ones are ignored.
    """
    from REACTKDTrainLib.cohorts.layout import layout_of

    def reads(spec: str) -> bool:
        path = Path(spec)
        return not spec.startswith(PREFIX) and not (path.is_dir() and layout_of(path) is not None)

    given = [str(spec).strip() for spec in specs if str(spec).strip()]
    if grades and not any(map(reads, given)):
        raise UsageError(
            "Phantoms and known layouts say their grades themselves, so --map means nothing; leave it out."
        )


def size_of(spec: str) -> str:
    """Return the size that a phantom cohort specifies; 'full' for all others. Raises: UsageError."""
    spec = str(spec).strip()
    return _query(spec)[1].get("size", "full") if spec.startswith(PREFIX) else "full"


def _query(spec: str) -> tuple[str, dict[str, str]]:
    name, _, query = spec.removeprefix(PREFIX).partition("?")
    if name not in PHANTOMS:
        raise UsageError(f"There is no phantom cohort {name!r}; choose one of {', '.join(PHANTOMS)}.")
    known = ("cases", "size", "first", "whole_field", "biology", "heterogeneity")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise UsageError(f"The cohort {spec!r} is not written as phantom:{name}?cases=24&size=tiny.") from error
    for key, _ in pairs:
        if key not in known:
            raise UsageError(f"A phantom cohort has no setting {key!r}; it has {', '.join(known)}.")
    chosen = dict(pairs)
    if len(chosen) < len(pairs):
        raise UsageError(f"The cohort {spec!r} says one setting twice; leave one.")
    if chosen.get("size", "full") not in SIZES:
        raise UsageError(f"There is no size {chosen['size']!r}; choose one of {', '.join(SIZES)}.")
    return name, chosen


def _phantoms(spec: str, size: str, whole_field: bool) -> Cohort:
    name, chosen = _query(spec)
    cases, first = PHANTOMS[name]
    cases, first = _number(chosen, "cases", cases), _number(chosen, "first", first)
    size = chosen.get("size", size)
    whole = chosen.get("whole_field", str(int(whole_field)))
    if whole not in ("0", "1"):
        raise UsageError(f"The setting whole_field of a phantom cohort must be 0 or 1, not {whole!r}.")
    biology = chosen.get("biology", "shared")
    drawn = {"biology": biology, "heterogeneity": _heterogeneity(chosen, biology)}
    numbers = _balanced(name, first, cases, drawn) if name == "hospital" else list(range(first, first + cases))
    return Cohort(
        f"phantom {name}",
        tuple(phantom_case(name, seed, size, whole == "1", **drawn) for seed in numbers),
        phantom=True,
        description=f"digital phantoms, cohort {name}, {cases} of the numbers from {first} on, size {size}, "
        f"{biology} biology" + ("" if biology == "independent" else f", heterogeneity {drawn['heterogeneity']:g}"),
    )


def _balanced(name: str, first: int, cases: int, drawn: dict) -> list[int]:
    """Return the first numbers whose grades follow the cohort's prevalence, so that few cases include all grades."""
    share = PREVALENCE[name]
    room = [int(cases * s) for s in share]
    for grade in sorted(range(len(share)), key=lambda g: room[g] - cases * share[g])[: cases - sum(room)]:
        room[grade] += 1
    numbers, seed = [], first
    while len(numbers) < cases:
        grade = int(draw_grade_and_latents(seed, cohort=name, **drawn)[0])
        if room[grade]:
            room[grade] -= 1
            numbers.append(seed)
        seed += 1
    return numbers


def _heterogeneity(chosen: dict[str, str], biology: str) -> float | None:
    """Return the given value, or the default of the biology; `draw_patient` refuses invalid combinations."""
    text = chosen.get("heterogeneity")
    if text is None:
        return HETEROGENEITY if biology == "shared" else None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"The heterogeneity of a phantom cohort must be a number such as 0.6, not {text!r}.") from None


def _number(chosen: dict[str, str], key: str, usual: int) -> int:
    text = chosen.get(key, str(usual))
    if not text.isdigit():
        raise UsageError(f"The setting {key} of a phantom cohort must be a whole number, not {text!r}.")
    return int(text)
