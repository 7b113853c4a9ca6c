"""What a released model is made by: every choice in one place, recorded in the model's metadata as it was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from REACTKDLib.core.student.config import ALL_BLOCKS, StudentConfig
from REACTKDTrainLib.nodes.train import Recipe

Seeds = tuple[int, int]


@dataclass(frozen=True)
class CropRecipe:
    """Cubes around lesions, on which the encoder trains 54 times cheaper than on whole volumes.

    size: voxels of a side that are stored; pooled: of the inner cube whose features are pooled, the rest being the
    reach of the bands. most: lesions of a patient. shift: sd of a constant added to each image of a crop.
    """

    size: int = 40
    pooled: int = 32
    most: int = 3
    shift: float = 0.1


@dataclass(frozen=True)
class Candidate:
    """One way to distill: method, steps, and the weights of its terms (scores: of scores and attention)."""

    method: str
    steps: int = 200
    graph: float = 0.0
    logits: float = 0.7
    scores: float = 1.0


@dataclass(frozen=True)
class ReleaseRecipe:
    """Patients are numbers of the phantom cohort 'large', (first, one past the last); `test` is looked at once.

    biology: of the phantoms. size: of the network's grid. student: what it is built from. train: patients that heads
    and students learn from. validation: those that every choice is made on. test: those that the result is measured on.
    crops: around lesions, for the encoder. encoder_patients: whose crops train the encoder; an empty
    span leaves the encoder out. encoder: how it trains, on crops. encoder_gain: what it must add at least to macro AUC
    by CT on the validation patients, by an interval that excludes 0, or the student ships without it; None to ship it
    in any case. conformal: patients that set the thresholds of sets of grades, and serve no choice. variants: sets of
    masks of annotators who err. trials: (steps, modality dropout, dropout) tried for each baseline without an encoder;
    the best of the last one is where the student departs from. heads: how those and the students train. opened: how the
    head is tuned when the encoder joins, and in the distillation. teachers: (steps, dropout) tried; members: of the
    ensemble. candidates: of the distillation, at the learning rate of `opened`. shares: how far to go from the weights
    that it departs from, 1 all the way. draws: of every bootstrap.
    """

    biology: str = "shared"
    size: str = "full"
    encoder_patients: Seeds = (2500, 5500)
    train: Seeds = (2500, 10500)
    validation: Seeds = (2000, 2300)
    conformal: Seeds = (10500, 11500)
    test: Seeds = (512000, 513200)  # those from 500000 were asked about 2.0.0 and 2.1.0, from 510000 about a trial
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
        """The JSON form."""
        return asdict(self)


def _quick() -> ReleaseRecipe:
    """What an hour or two of two cores can draw: fewer patients and choices, on the real grid."""
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
    """Everything once, in seconds: 10 mm, a few patients, a few steps. Its model says nothing of any liver."""
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
