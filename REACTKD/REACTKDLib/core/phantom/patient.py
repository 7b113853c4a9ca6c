"""A patient of the phantom: grade, latents, anatomy and lesions, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.phantom.anatomy import Anatomy, Organ, draw_anatomy
from REACTKDLib.core.phantom.biology_shared import HETEROGENEITY, LesionLatents, SharedLatents, draw_shared
from REACTKDLib.core.phantom.latents import Latents, draw_grade, draw_latents
from REACTKDLib.core.phantom.lesion import Lesion
from REACTKDLib.core.phantom.liver import LiverShape, draw_liver
from REACTKDLib.core.phantom.organs.body import Body, draw_body
from REACTKDLib.core.phantom.organs.liver_lobes import GridLiver
from REACTKDLib.core.phantom.shapes import Ellipsoid

#: seeds of different cohorts never coincide
COHORTS = ("hospital", "external", "unlabeled", "large", "single")
#: the second edition and the first: how lesions differ, and what determines the grade
BIOLOGIES = ("shared", "independent")
Liver = LiverShape | GridLiver
_TOUCHING_SHARE = 0.04
_GAP_MM = 6.0
_MIN_DIAMETER, _MAX_DIAMETER = 5.0, 120.0


@dataclass(frozen=True, eq=False)
class Patient:
    """grade: index into `GRADES`. Uptakes in SUV, HU values of normal liver; lesions with the main one first.

    latents: `SharedLatents` or `Latents`, by the patient's biology.
    """

    seed: int
    cohort: str
    grade: int
    latents: Latents | SharedLatents
    liver: Liver
    anatomy: Anatomy | Body
    lesions: tuple[Lesion, ...]
    liver_hu: float
    vessel_hu: float
    liver_suv: tuple[float, float]

    @property
    def grade_name(self) -> str:
        """'well', 'moderate' or 'poor'."""
        return GRADES[self.grade]

    @property
    def biology(self) -> str:
        """One of `BIOLOGIES`."""
        return "shared" if isinstance(self.latents, SharedLatents) else "independent"


def grade_number(grade: int | str | None) -> int | None:
    """Return the index in `GRADES` of a grade given by name or index; None is returned as it is. Raises: UsageError."""
    if isinstance(grade, str) and grade in GRADES:
        return GRADES.index(grade)
    if isinstance(grade, str) or grade not in (None, *range(len(GRADES))):
        raise UsageError(f"There is no grade {grade!r}; choose one of {', '.join(GRADES)}.")
    return None if grade is None else int(grade)


def _place(rng: np.random.Generator, liver: Liver, radius: float, placed: list[Lesion], touch: bool) -> np.ndarray:
    """Find a center inside the liver, apart from the lesions already placed, or touching the last one.

    After many misses the largest free spot found is taken: huge lesions in small livers bulge out of them.
    """
    low, high = liver.bounds()
    candidates = rng.uniform(low, high, size=(1500, 3))
    depth = liver.depth(*candidates.T) - 0.75 * radius
    gap = np.full(len(candidates), np.inf)
    for other in placed:
        gap = np.minimum(gap, np.linalg.norm(candidates - other.center, axis=1) - other.reach - radius * 1.25 - _GAP_MM)
    if touch and placed:
        last = placed[-1]
        step = candidates - last.center
        candidates = last.center + step / np.linalg.norm(step, axis=1, keepdims=True) * (last.radius + radius) * 0.97
        return candidates[np.argmax(liver.depth(*candidates.T))]
    free = (depth > 0) & (gap > 0)
    if free.any():
        return candidates[np.argmax(free)]
    return candidates[np.argmax(np.minimum(gap, 10 * depth))]


def draw_lesions(rng: np.random.Generator, latents: Latents | SharedLatents, liver: Liver) -> tuple[Lesion, ...]:
    """Place the lesions.

    In the shared biology each lesion has its own latents, unchanged; in the other it has the patient's latents with a
    small spread, equal for all grades.
    """
    shared = isinstance(latents, SharedLatents)
    main = float(np.clip(np.exp(latents.ln_diameter_mm), 8.0, _MAX_DIAMETER))
    others = main * np.sort(rng.uniform(0.3, 0.85, latents.lesions - 1))[::-1]
    texture_hu = rng.uniform(8, 16)
    touching = rng.uniform() < _TOUCHING_SHARE
    lesions: list[Lesion] = []
    for n, diameter in enumerate([main, *others]):
        radius = float(max(diameter, _MIN_DIAMETER)) / 2
        spread = np.zeros(8) if shared else rng.normal(size=8)
        center = tuple(_place(rng, liver, radius, lesions, touching and n == 1))
        seed = int(rng.integers(2**31))
        if not n:
            spread[0] = 0.0  # the margin of the main lesion is the patient's
        own = latents.each[n] if shared else latents
        lesions.append(_lesion(own, spread, center=center, radius=radius, texture_hu=float(texture_hu), seed=seed))
    return tuple(lesions)


def _lesion(own: Latents | LesionLatents, spread: np.ndarray, **place) -> Lesion:
    """Return a lesion with these latents, each shifted by `spread` (8,) times its standard deviation between the
    lesions of a liver.
    """
    return Lesion(
        margin=float(np.exp(own.ln_margin + 0.1 * spread[0])),
        contrast_hu=float(own.contrast_hu + 2.5 * spread[1]),
        capsule_hu=float(own.capsule_hu + 2.0 * spread[2]),
        necrosis=float(1 / (1 + np.exp(-(own.logit_necrosis + 0.1 * spread[3])))),
        texture_mm=float(np.exp(own.ln_texture_mm + 0.07 * spread[4])),
        fdg_ratio=float(np.exp(own.ln_fdg_ratio + 0.07 * spread[5])),
        fdg_rim=float(np.exp(own.ln_fdg_rim + 0.07 * spread[6])),
        acetate_ratio=float(np.exp(own.ln_acetate_ratio + 0.07 * spread[7])),
        **place,
    )


def _draw_distractors(rng: np.random.Generator, liver: Liver, lesions: tuple[Lesion, ...]) -> tuple[Organ, ...]:
    """Cysts and hemangioma-like spots in some livers, away from the lesions and not in the tumor mask."""
    found = []
    for _ in range(int(rng.choice(4, p=(0.55, 0.25, 0.13, 0.07)))):
        radius = rng.uniform(2.5, 12.0)
        centers = rng.uniform(*liver.bounds(), size=(400, 3))
        clear = liver.depth(*centers.T) > radius + 3
        for lesion in lesions:
            clear &= np.linalg.norm(centers - lesion.center, axis=1) > lesion.reach + radius + 6
        if not clear.any():
            continue
        kind, hu = ("cyst", rng.uniform(0, 18)) if rng.uniform() < 0.65 else ("hemangioma", rng.uniform(125, 150))
        found.append(Organ(kind, Ellipsoid(tuple(centers[np.argmax(clear)]), (radius,) * 3), float(hu)))
    return tuple(found)


def draw_patient(
    seed: int,
    grade: int | str | None = None,
    cohort: str = "single",
    biology: str = "shared",
    heterogeneity: float | None = None,
) -> Patient:
    """Draw the patient number `seed` of a cohort; `grade` (index or name) is drawn by prevalence when None.

    biology: 'shared' is the second edition (`biology_shared`), in which the worst lesion determines the grade;
    'independent' is the first (`latents`), whose patients remain identical bit by bit. heterogeneity: how much the
    lesions of one liver differ, 0.6 by default; for the shared biology only.

    Raises: UsageError for an unknown cohort, grade or biology, or an invalid heterogeneity.
    """
    grade, latents, body = _drawn(seed, grade, cohort, biology, heterogeneity)
    return _patient(body, latents, seed=int(seed), cohort=cohort, grade=grade)


def draw_grade_and_latents(
    seed: int,
    grade: int | str | None = None,
    cohort: str = "single",
    biology: str = "shared",
    heterogeneity: float | None = None,
) -> tuple[int, Latents | SharedLatents]:
    """Return those of `draw_patient` without the body: thousands per second."""
    return _drawn(seed, grade, cohort, biology, heterogeneity)[:2]


def _drawn(
    seed: int, grade: int | str | None, cohort: str, biology: str, heterogeneity: float | None
) -> tuple[int, Latents | SharedLatents, np.random.Generator]:
    """Return grade, latents, and the random stream for the body."""
    if cohort not in COHORTS:
        raise UsageError(f"There is no phantom cohort {cohort!r}; choose one of {', '.join(COHORTS)}.")
    if biology not in BIOLOGIES:
        raise UsageError(f"There is no phantom biology {biology!r}; choose one of {', '.join(BIOLOGIES)}.")
    grade = grade_number(grade)
    if biology == "shared":
        # separate streams, so that a seed gives the same body for every grade
        rng, body = (np.random.default_rng([int(seed), COHORTS.index(cohort), 2, part]) for part in range(2))
        if grade is None and cohort == "external":  # the prevalence differs; in other cohorts the grade follows from t
            grade = draw_grade(rng, cohort)
        shared = draw_shared(rng, HETEROGENEITY if heterogeneity is None else heterogeneity, grade)
        return shared.grade, shared, body
    if heterogeneity is not None:
        raise UsageError("Lesions of the independent biology have no heterogeneity; leave it out, or choose shared.")
    rng = np.random.default_rng([int(seed), COHORTS.index(cohort)])
    drawn = draw_grade(rng, cohort)
    grade = drawn if grade is None else grade
    return grade, draw_latents(rng, grade), rng


def _patient(
    rng: np.random.Generator, latents: Latents | SharedLatents, *, seed: int, cohort: str, grade: int
) -> Patient:
    """Return the patient with liver, lesions and body for given latents."""
    if isinstance(latents, SharedLatents):
        liver, anatomy = draw_body(rng)
        lesions = draw_lesions(rng, latents, liver)
    else:
        liver = draw_liver(rng)
        lesions = draw_lesions(rng, latents, liver)
        anatomy = draw_anatomy(rng, float(liver.bounds()[1][2]))
    anatomy = replace(anatomy, distractors=_draw_distractors(rng, liver, lesions))
    external = cohort == "external"
    if external:
        lesions = tuple(replace(les, contrast_hu=les.contrast_hu * 0.8) for les in lesions)
    liver_hu, vessel_hu = float(rng.uniform(95, 120) - (12 if external else 0)), float(rng.uniform(140, 170))
    return Patient(
        seed=seed,
        cohort=cohort,
        grade=grade,
        latents=latents,
        liver=liver,
        anatomy=anatomy,
        lesions=lesions,
        liver_hu=liver_hu,
        vessel_hu=vessel_hu + 28 * isinstance(anatomy, Body),
        liver_suv=(float(rng.uniform(1.6, 2.8)), float(rng.uniform(3.0, 6.0))),
    )
