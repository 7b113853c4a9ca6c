"""What a released model is made by: every choice in one place, recorded in the model's metadata as it was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from REACTKDLib.core.student.config import StudentConfig
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
    most: int = 2
    shift: float = 0.1


@dataclass(frozen=True)
class ReleaseRecipe:
    """Patients are numbers of the phantom cohort 'large', (first, one past the last); `test` is looked at once.

    biology: of the phantoms; the exact limit and the latents that the encoder learns are those of 'independent', as of
    all models so far. size: of the network's grid. encoder_patients: whose crops train the encoder; encoder: how, on
    crops. variants: sets of masks of annotators who err. trials: (steps, modality dropout, dropout) tried for each
    baseline without an encoder; the best of the last one is where the student departs from. heads: how those and the
    students train. opened: how the head is tuned when the encoder joins. teachers: (steps, dropout) tried; members: of
    the ensemble. candidates: (method, graph weight, steps) of the distillation, at the learning rate of `opened`.
    shares: how far to go from the weights that it departs from, 1 all the way. draws: of every bootstrap.
    """

    biology: str = "independent"
    size: str = "full"
    encoder_patients: Seeds = (2500, 4063)
    train: Seeds = (2500, 5500)
    validation: Seeds = (2000, 2300)
    test: Seeds = (0, 2000)
    variants: int = 3
    crops: CropRecipe = field(default_factory=CropRecipe)
    student: StudentConfig = field(default_factory=StudentConfig)
    encoder: Recipe = Recipe(steps=600, batch=24, weight_decay=1e-2, node_dropout=0.0, auxiliary=1.0)
    heads: Recipe = Recipe(batch=128, modality_dropout=0.5, auxiliary=0.5)
    trials: tuple[tuple[int, float, float], ...] = (
        (400, 0.3, 0.3), (800, 0.3, 0.1), (800, 0.3, 0.3), (400, 0.5, 0.1), (800, 0.5, 0.1), (800, 0.5, 0.3),
    )  # fmt: skip
    opened: Recipe = Recipe(steps=200, batch=128, lr=3e-4, modality_dropout=0.5, auxiliary=0.5)
    teachers: tuple[tuple[int, float], ...] = ((300, 0.3), (300, 0.5), (600, 0.3), (600, 0.5))
    members: int = 5
    candidates: tuple[tuple[str, float, int], ...] = (
        ("none", 0.0, 200), ("kd", 0.0, 200), ("react-kd", 0.3, 200), ("react-kd", 1.0, 200),
    )  # fmt: skip
    shares: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    draws: int = 1000

    def to_dict(self) -> dict:
        """The JSON form."""
        return asdict(self)


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
        test=(0, 16),
        variants=1,
        crops=CropRecipe(size=16, pooled=8, most=2),
        student=StudentConfig(filters=4, widths=(4, 8, 8), hidden=12),
        encoder=replace(recipe.encoder, **few),
        heads=replace(recipe.heads, batch=8),
        trials=((6, 0.3, 0.3), (6, 0.5, 0.1)),
        opened=replace(recipe.opened, **few),
        teachers=((6, 0.3),),
        members=2,
        candidates=(("none", 0.0, 6), ("react-kd", 0.3, 6)),
        shares=(0.5, 1.0),
        draws=20,
    )


PRESETS: Mapping[str, ReleaseRecipe] = {"full": ReleaseRecipe(), "tiny": _tiny()}
