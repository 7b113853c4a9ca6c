"""Sizes of a study: 'smoke' shows that everything runs, 'quick' takes two hours on one core, 'cpu' some hours on two
cores, 'gpu' is the full design.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from REACTKDLib.core.phantom.biology_shared import HETEROGENEITY
from REACTKDLib.core.student.config import StudentConfig
from REACTKDTrainLib.data.augmentation import Augmentation
from REACTKDTrainLib.distillation.methods import METHODS
from REACTKDTrainLib.models.teacher_config import TeacherConfig
from REACTKDTrainLib.nodes.train import Recipe
from REACTKDTrainLib.study.preset_names import PRESETS
from REACTKDTrainLib.training.config import DataConfig, StageConfig, TrainingConfig

#: cohorts of phantoms for the experiments on volumes, if the user names none
BIOLOGY = "shared"
HEADLINE = ("none", "kd", "react-kd")
ON_NODES = (*HEADLINE, "react-kd-scores")
#: the paper's competitors that compare embeddings or logits, not maps, because node vectors have no maps
RIVALS_ON_NODES = ("crd", "awmt")
#: a method that is added is compared as well
COMPARED = METHODS
WITH_LOGITS = ("at+kd", "mskd+kd", "cwd+kd", "crd+kd", "ifvd+kd")


@dataclass(frozen=True)
class Arm:
    """Phantoms of one biology, used as node vectors. heterogeneity: of the shared biology, None: its default."""

    biology: str
    heterogeneity: float | None = None

    @property
    def name(self) -> str:
        """'independent', 'shared', 'shared-0.4'."""
        return self.biology if self.heterogeneity is None else f"{self.biology}-{self.heterogeneity:g}"


#: the first axis of the study: the biology where regions may help, and the control where they cannot
ARMS = (Arm("shared"), Arm("independent"))
#: the map: how similar the lesions of a liver are, and the biology where lesions carry no information on other images
MAP_ARMS = (Arm("shared", 0.0), Arm("shared", 0.4), Arm("shared", HETEROGENEITY), Arm("shared", 0.8), ARMS[1])


@dataclass(frozen=True)
class NodeConfig:
    """The comparison on stored node vectors at 2.5 mm. test, validation: number of phantoms; pool: number of phantoms
    from which training subsets are drawn and on which the large teacher is trained, large enough for disjoint subsets
    of the smallest size. sizes: of the training subsets. subsets: number of each size. methods: those compared. steps,
    batch: of each training. trials: weights tried for each method on the validation phantoms. trial_subsets: subsets
    on which each is tried. variants: number of perturbed mask sets. drawn: phantoms are generated and scanned;
    otherwise node vectors are latent variables with the errors of `study.read_latents`. explained: test which lesion
    the students of the largest subsets identify as deciding.
    """

    test: int
    validation: int
    pool: int
    sizes: tuple[int, ...] = (65, 97, 260)
    subsets: int = 20
    methods: tuple[str, ...] = ON_NODES
    steps: int = 80
    batch: int = 64
    trials: int = 3
    trial_subsets: int = 2
    variants: int = 3
    drawn: bool = True
    explained: bool = True


@dataclass(frozen=True)
class HospitalNodesConfig:
    """The hospital size on node vectors. unlabeled: number of patients without a grade for pretraining students on CT.
    pretraining: its recipe. heads: recipe of every student and teacher; both were chosen on validation phantoms of
    'large' with the student alone (docs/decisions/0117).
    """

    unlabeled: int = 500
    pretraining: Recipe = field(default_factory=lambda: Recipe(steps=400))
    heads: Recipe = field(default_factory=lambda: Recipe(steps=80, lr=1.5e-3))


@dataclass(frozen=True)
class Preset:
    """A study. training: settings of every run; nodes: of `ARMS`; around: of `MAP_ARMS`; methods: rows of Table I;
    headline: rows with `seeds` seeds, the others have one; seeds: of these rows; hospital: number of training cases;
    hospital_nodes: training of heads on their node vectors, None for training on whole volumes; external: cases of the
    external cohort, 0 for all; doses: of its CT. draws: of every bootstrap. meaningless: the numbers have no meaning,
    and the tables say so.
    """

    name: str
    training: TrainingConfig
    nodes: NodeConfig
    around: NodeConfig
    hospital: int = 97
    external: int = 105
    methods: tuple[str, ...] = COMPARED
    headline: tuple[str, ...] = HEADLINE
    seeds: int = 3
    doses: tuple[str, ...] = ("native", "mild", "severe", "mixed")
    draws: int = 2000
    meaningless: bool = False
    hospital_nodes: HospitalNodesConfig | None = None


_STILL = Augmentation(rotate_deg=0, shift_voxels=0, scale=0, elastic=0, flip=False, level=0)


def preset_of(name: str) -> Preset:
    """Return one of `PRESETS` by its name. Raises: KeyError."""
    return dict(zip(PRESETS, (_smoke, _quick, _cpu, _gpu), strict=True))[name]()


def _smoke() -> Preset:
    training = TrainingConfig(
        folds=2,
        data=DataConfig(
            size="tiny", whole_grid=False, views=2, mask_variants=1, augmentation=_STILL, validation=0.3, doses=False
        ),
        teacher=TeacherConfig(
            feature_size=6, heads=(1, 1, 2, 2), depths=(1, 1, 1, 1), window=2, patch=4, width=8, hidden=12
        ),
        student=StudentConfig(filters=4, widths=(4, 8, 8), hidden=12, cbam=True),
        teacher_heads=StageConfig(epochs=4, batch=64, lr=3e-3, every=4),
        student_heads=StageConfig(epochs=4, batch=64, lr=3e-3, every=4),
        teacher_stage=StageConfig(epochs=1, batch=4, lr=2e-3),
        student_stage=StageConfig(epochs=1, batch=8, lr=2e-3),
    )
    nodes = NodeConfig(24, 12, 24, (12, 18), 2, steps=8, batch=8, trials=2, trial_subsets=1, variants=1)
    return Preset("smoke", training, nodes, _around(nodes, 12), 24, 8, seeds=2, draws=200, meaningless=True)


def _cpu() -> Preset:
    """Node vectors at 2.5 mm for both parts: at 5 mm, where two cores could train on volumes, nothing can be learned
    from CT of 97 patients (docs/decisions/0117).
    """
    training = TrainingConfig(folds=5, data=DataConfig(whole_grid=False, augmentation=_STILL, doses=False))
    nodes = NodeConfig(2000, 300, 1300, methods=(*ON_NODES, "crd"), trials=18, trial_subsets=3)
    every = (*ON_NODES, *RIVALS_ON_NODES)
    return Preset("cpu", training, nodes, _around(nodes, 2000), headline=every, hospital_nodes=HospitalNodesConfig())


def _around(nodes: NodeConfig, test: int) -> NodeConfig:
    """Return the settings of the map: those of the comparison, but latent variables with errors, the smallest size, its
    own methods and nothing to explain.
    """
    return replace(nodes, test=test, sizes=nodes.sizes[:1], methods=ON_NODES, variants=0, drawn=False, explained=False)


def _quick() -> Preset:
    """As 'cpu' on a fifth of the phantoms. For node vectors, every method has its default weight: nothing is tuned."""
    nodes = NodeConfig(300, 100, 325, subsets=5, trials=1)
    own = HospitalNodesConfig(unlabeled=100)
    return replace(_cpu(), name="quick", nodes=nodes, around=_around(nodes, 300), external=24, hospital_nodes=own)


def _gpu() -> Preset:
    training = replace(
        TrainingConfig(), data=DataConfig(views=4, mask_variants=3), teacher=TeacherConfig(checkpoint=True)
    )
    nodes = NodeConfig(
        2000, 300, 2700, subsets=40, methods=(*ON_NODES, *RIVALS_ON_NODES), steps=400, trials=18, trial_subsets=5
    )
    return Preset("gpu", training, nodes, _around(nodes, 2000), methods=(*COMPARED, *WITH_LOGITS), seeds=5)
