"""docs/explanation/method.md states the numbers used in the code: changing a default requires changing the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.core.masks.shells import DEPTHS_MM
from REACTKDLib.core.masks.small_lesions import SMALLEST_LESION_ML
from REACTKDLib.core.student.bands import SIGMAS
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.explain import UncertaintyRule
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.normalize import CT_CLIP_HU
from REACTKDLib.core.student.pooling import BLOCK_SIZES, LAGS, QUANTILES
from REACTKDLib.core.student.prepare import LATTICE_MM, Preparation
from REACTKDTrainLib.data.annotators import MaskPerturbation
from REACTKDTrainLib.data.augmentation import Augmentation
from REACTKDTrainLib.data.fixed_nodes import FIXED_SIZE
from REACTKDTrainLib.distillation import gromov, gromov_batch
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.methods import at, cirkd, crd, cwd, ifvd, mtcm_kd
from REACTKDTrainLib.training.calibration import RANGE
from REACTKDTrainLib.training.config import DataConfig, LossConfig, TrainingConfig

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "explanation" / "method.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())

prepare, student, run = Preparation(), StudentConfig(), TrainingConfig()
loss, weights, unsure = LossConfig(), DistillationConfig(), UncertaintyRule()
masks, moved = MaskPerturbation(), Augmentation()


def listed(values, last: str = " and ") -> str:
    """'1, 2 and 3'."""
    words = [f"{value:g}" for value in values]
    return ", ".join(words[:-1]) + last + words[-1]


STATED = {
    "grid": "{} x {} x {} voxels (D, H, W) of {:g} mm".format(*prepare.shape, prepare.spacing_mm),
    "lattice": f"rounded to a lattice of {LATTICE_MM:g} mm",
    "window": r"\mathrm{{clip}}(\mathrm{{HU}}, {:g}, {:g}) - c}}{{{:g}\ \mathrm{{HU}}}}".format(
        *CT_CLIP_HU, prepare.ct_scale_hu
    ),
    "center": f"$c$ is {prepare.ct_center_hu:g} HU",
    "PET": rf"{prepare.pet_gain:g} \ln \max\left(\frac{{\mathrm{{PET}}}}{{q}},\; {prepare.pet_floor:g}\right)",
    "bands": rf"$\sigma = {', '.join(map(str, SIGMAS))}$",
    "channels": f"with {listed(student.filters * 2**n for n in range(3))} channels at 2.5, 5 and 10 mm",
    "projections": f"to {listed(student.widths)} channels of its own",
    "CBAM3D": f"ratio is {student.cbam_ratio} and $k = {student.cbam_kernel}$",
    "specks": f"lesions under {SMALLEST_LESION_ML:g} ml",
    "shells": f"{-DEPTHS_MM[0][0]:g} outside (parenchyma alone), 0 to {DEPTHS_MM[1][1]:g}",
    "fixed vector": f"has {FIXED_SIZE} numbers and needs no learning",
    "shell block": f"| shells | {BLOCK_SIZES['shells']}, see below",
    "quantiles": "$p = " + ", ".join(f"{100 * q:g}" for q in QUANTILES) + "$ %",
    "lags": f"$h$ of {listed(LAGS)} voxels",
    "learned vector": f"three fused maps: {Student(student).fused_size} numbers",
    "hidden": f"{student.hidden} wide",
    "focal": rf"$\gamma = {loss.gamma:g}$, $\alpha = ({', '.join(f'{w:g}' for w in loss.class_weights)})$",
    "temperature": rf"$\tau = {weights.temperature:g}$",
    "logits": f"L_S = L_{{focal}} + {weights.logits:g}\\, L_{{logit}}",
    "branches": f"L_T = L_{{focal}}(z_T) + {loss.branches:g}\\,",
    "common width": f"both to {weights.width} channels",
    "default mode": f"| `{weights.gw_mode}` (default) |",
    "batched solver": f"the first {gromov_batch._COUNTED:,} in order, {gromov_batch._DRAWN} random ones",
    "assignments": f"at most {gromov_batch._FEW:,}",
    "mixtures": f"({listed(gromov._ALPHAS)})",
    "at": f"${at.AttentionTransfer.beta:g} \\cdot \\frac12",
    "cirkd": f"queues of {cirkd.QUEUES['pixels']} voxels and {cirkd.QUEUES['regions']} regions",
    "mtcm-kd": f"$T = {mtcm_kd.TEMPERATURE:g}$",
    "mtcm-kd teachers": rf"\frac{{{mtcm_kd.TEACHERS:g}}}{{{mtcm_kd.TASK:g}}}",
    "cwd": rf"${cwd.ChannelDistillation.beta:g} \tau^2 / C",
    "crd": rf"${crd.BETA:g} \cdot$ InfoNCE in both directions, $t = {crd.TEMPERATURE:g}$, vectors of {crd.WIDTH}",
    "ifvd": rf"${ifvd.VariationDistillation.beta:g} \cdot \mathrm{{avg}}_r",
    "liver": rf"uniform in $\pm {masks.liver_mm:g}$ mm (whole voxels",
    "missed": f"with probability {masks.drop:g} one lesion is missed",
    "border": rf"uniform in $\pm {masks.border_mm:g}$ mm, plus a smooth field of {masks.wander_mm:g} mm",
    "merged": f"with probability {masks.merge:g} lesions at most {masks.merge_mm:g} mm apart",
    "views": f"number of views ({DataConfig().views} at full size)",
    "turns": f"up to {moved.rotate_deg:g} degrees about each axis, shifted by up to {moved.shift_voxels:g} voxels",
    "levels": f"standard deviation {moved.level:g}",
    "modality dropout": f"with probability {loss.modality_dropout:g}, independently",
    "lesion dropout": f"probability {loss.node_dropout:g} each",
    "heads": f"({run.teacher_heads.epochs} epochs of batches of {run.teacher_heads.batch})",
    "teacher": f"({run.teacher_stage.epochs} epochs of {run.teacher_stage.batch})",
    "student": f"({run.student_stage.epochs} epochs of {run.student_stage.batch})",
    "calibration": "temperature in [{:g}, {:g}]".format(*RANGE),
    "not sure": f"below {unsure.top_below:g}, or leads the second by less than {unsure.margin_below:g}",
}


@pytest.mark.parametrize("what", STATED)
def test_the_page_has_the_numbers_of_the_code(what: str) -> None:
    assert STATED[what] in TEXT, f"docs/explanation/method.md does not say: {STATED[what]}"


def test_weights_that_the_page_gives_in_words() -> None:
    assert "with default weights 0.7 and 1, and 1 for each term of the graph" in TEXT
    assert (weights.graph, weights.node, weights.edge, weights.gw) == (1, 1, 1, 1)
    assert "with weights 0.5 and 1" in TEXT and (loss.branches, loss.consistency) == (0.5, 1)
    assert "a fifth of a fold's training patients" in TEXT and run.data.validation == 0.2
