"""The rungs that the student is measured beside: the Bayes limit, moments without an encoder, features by hand."""

from __future__ import annotations

import numpy as np
import torch

from REACTKDLib.core.phantom.latents import posterior
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.pooling import BLOCK_SIZES
from REACTKDTrainLib.release.heads import HeadRecipe, fit_scales, predict, train_head
from REACTKDTrainLib.release.tables import LATENTS, Table

#: name -> blocks of the node vector; none of them has an encoder
MOMENT_RUNGS = {
    "input moments": ("input",),
    "band moments": ("input", "bands"),
    "band and shell moments": ("input", "bands", "shells"),
}


def bayes_limit(table: Table, subset: tuple[str, ...], masks: bool = False) -> np.ndarray:
    """The exact posterior (N, 3) on the true latents: the best that anybody can do with these images.

    masks: with the expert's masks besides, whose outline shows the margin whatever the images are.
    """
    latents = {name: table.latents[:, i].double().numpy() for i, name in enumerate(LATENTS)}
    return posterior(latents, subset, also=("ln_margin",) if masks else ())


def moment_student(blocks: tuple[str, ...], table: Table, recipe: HeadRecipe, **config) -> Student:
    """Train the student's own head on fixed moments alone."""
    torch.manual_seed(recipe.seed)
    student = Student(StudentConfig(blocks=blocks, **config))
    fit_scales(student, table)
    return train_head(student, table, recipe)


def probabilities(student: Student, table: Table, subset: tuple[str, ...], fused=None) -> np.ndarray:
    """(N, 3) softmax probabilities."""
    return torch.softmax(predict(student, table, subset, fused), dim=1).numpy()


def hand_features(table: Table, subset: tuple[str, ...]) -> np.ndarray:
    """What one would measure by hand in the masks: (N, features).

    The topology descriptors; of the main lesion its contrast to the parenchyma in every image, its shells, quantiles
    and variogram on CT, and its shells (rim and core) on PET.
    """
    start = BLOCK_SIZES["input"] + BLOCK_SIZES["bands"]
    columns = [table.topology.numpy()]
    for name in subset:
        nodes = table.fixed[name].numpy()
        columns.append(nodes[:, 1, :1] - nodes[:, 0, :1])
        last = start + BLOCK_SIZES["shells"] if name == "ct" else start + 6
        columns.append(nodes[:, 1, start:last])
    return np.hstack(columns)


def hand_logistic(train: Table, test: Table, subset: tuple[str, ...], penalty: float = 0.1) -> np.ndarray:
    """Logistic regression on `hand_features`, fitted for this subset alone: test probabilities (N, 3)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=2000))
    model.fit(hand_features(train, subset), train.grade.numpy())
    return model.predict_proba(hand_features(test, subset))
