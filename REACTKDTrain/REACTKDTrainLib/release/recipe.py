"""The recipe of a released model: all choices in one place, recorded in the model's metadata as used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from REACTKDLib.core.student.config import ALL_BLOCKS, StudentConfig
from REACTKDTrainLib.nodes.train import Recipe

Seeds = tuple[int, int]


@dataclass(frozen=True)
class CropRecipe:
    """Cubes around lesions; training the encoder on them is 54 times cheaper than on whole volumes.

    size: side length in voxels as stored; pooled: side of the inner cube whose features are pooled, the rest being the
    reach of the bands. most: maximum number of lesions per patient. shift: sd of a constant added to each image of a
    crop.
    """

    size: int = 40
    pooled: int = 32
    most: int = 3
    shift: float = 0.1


@dataclass(frozen=True)
class Candidate:
    """A candidate of the distillation: method, steps, and weights of its terms (scores: of scores and attention)."""

    method: str
    steps: int = 200
    graph: float = 0.0
    logits: float = 0.7
    scores: float = 1.0


@dataclass(frozen=True)
class ReleaseRecipe:
    """Patients are numbers of the phantom cohort 'large', (first, one past the last); `test` is evaluated once.

    biology: of the phantoms. size: of the network's grid. student: its architecture. train: training patients of heads
    and students. validation: patients for all choices. test: patients for the evaluation. crops: around lesions, for
    the encoder. encoder_patients: patients whose crops train the encoder; an empty range omits the encoder. encoder:
    training on crops. encoder_gain: minimum gain in macro AUC with CT on the validation patients, with an interval
    that excludes 0, for the encoder to be included; None: include it in any case. conformal: patients that determine
    the thresholds of sets of grades, and are used for no choice. variants: number of perturbed mask sets. trials:
    (steps, modality dropout, dropout) tried for each baseline without an encoder; the best of the last baseline is the
    initial student. heads: training of baselines and students. opened: tuning of the head when the encoder is added,
    and in the distillation. teachers: (steps, dropout) tried; members: of the ensemble. candidates: of the
    distillation, at the learning rate of `opened`. shares: interpolation weights between the initial (0) and the tuned
    student (1). draws: of every bootstrap.
    """

    biology: str = "shared"
    size: str = "full"
    encoder_patients: Seeds = (2500, 5500)
    train: Seeds = (2500, 10500)
    validation: Seeds = (2000, 2300)
    conformal: Seeds = (10500, 11500)
    test: Seeds = (513200, 515200)  # numbers from 500000 to 513199 were used for earlier tests
    variants: int = 3
    crops: CropRecipe = field(default_factory=CropRecipe)
    student: StudentConfig = StudentConfig(blocks=ALL_BLOCKS)
    encoder: Recipe = Recipe(steps=2000, batch=24, weight_decay=1e-2, node_dropout=0.0, auxiliary=1.0)
    encoder_gain: float | None = 0.01
    heads: Recipe = Recipe(batch=128, modality_dropout=0.5, auxiliary=0.5, posterior=1.0)
    trials: tuple[tuple[int, float, float], ...] = (
        (800, 0.5, 0.0), (1600, 0.3, 0.0), (1600, 0.5, 0.0), (1600, 0.5, 0.1), (1600, 0.7, 0.0), (3200, 0.5, 0.0),
    )  # fmt: skip
    opened: Recipe = Recipe(steps=200, batch=128, lr=3e-4, modality_dropout=0.5, auxiliary=0.5, posterior=1.0)
    teachers: tuple[tuple[int, float], ...] = (
        (600, 0.0), (1200, 0.0), (1200, 0.1), (2400, 0.0), (2400, 0.1),
    )  # fmt: skip
    members: int = 5
    candidates: tuple[Candidate, ...] = (
        Candidate("none", 200), Candidate("none", 800), Candidate("kd", 800), Candidate("react-kd", 800, 0.3),
        Candidate("react-kd-scores", 800, 0.1), Candidate("react-kd-scores", 800, 0.3),
        Candidate("react-kd-scores", 800, 1.0),
    )  # fmt: skip
    shares: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    draws: int = 1000

    def to_dict(self) -> dict:
        """Return the JSON form."""
        return asdict(self)


def _quick() -> ReleaseRecipe:
    """A recipe for an hour or two on two cores: fewer patients and choices, on the full grid."""
    recipe = ReleaseRecipe()
    return replace(
        recipe,
        encoder_patients=(2500, 3500),
        train=(2500, 3500),
        conformal=(3500, 3800),
        test=(500000, 500400),
        encoder=replace(recipe.encoder, steps=600),
        trials=((400, 0.3, 0.3), (800, 0.3, 0.1), (800, 0.3, 0.3), (800, 0.5, 0.1), (800, 0.5, 0.3)),
        teachers=((300, 0.3), (600, 0.1), (600, 0.3), (600, 0.5)),
        members=3,
        candidates=tuple(c for c in recipe.candidates if c.steps <= 800),
    )


def _tiny() -> ReleaseRecipe:
    """Every step once, in seconds: 10 mm, few patients, few steps. The model has no meaning for real livers."""
    few = {"steps": 6, "batch": 8}
    recipe = ReleaseRecipe()
    return replace(
        recipe,
        size="tiny",
        encoder_patients=(2500, 2506),
        train=(2500, 2514),
        validation=(2000, 2012),
        conformal=(2600, 2612),
        test=(500000, 500016),
        variants=1,
        crops=CropRecipe(size=16, pooled=8, most=2),
        student=StudentConfig(blocks=ALL_BLOCKS, filters=4, widths=(4, 8, 8), hidden=12),
        encoder=replace(recipe.encoder, **few),
        encoder_gain=None,
        heads=replace(recipe.heads, batch=8),
        trials=((6, 0.3, 0.3), (6, 0.5, 0.1)),
        opened=replace(recipe.opened, **few),
        teachers=((6, 0.3),),
        members=2,
        candidates=(Candidate("none", 6), Candidate("react-kd-scores", 6, 0.3)),
        shares=(0.5, 1.0),
        draws=20,
    )


PRESETS: Mapping[str, ReleaseRecipe] = {"full": ReleaseRecipe(), "quick": _quick(), "tiny": _tiny()}
