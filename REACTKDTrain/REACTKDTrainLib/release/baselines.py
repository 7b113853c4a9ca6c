"""Baselines of the student: the Bayes limit, moments without an encoder, hand-crafted features."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.modality import subset_name
from REACTKDLib.core.student.pooling import BLOCK_SIZES
from REACTKDTrainLib.data.limits import limit_of
from REACTKDTrainLib.nodes.table import NodeTable

#: name -> blocks of the node vector; none of them has an encoder
MOMENT_BASELINES = {
    "input moments": ("input",),
    "band moments": ("input", "bands"),
    "band and shell moments": ("input", "bands", "shells"),
    "moments and shapes": ("input", "bands", "shells", "shape"),
}


def bayes_limit(table: NodeTable, subset: tuple[str, ...], masks: bool = False) -> np.ndarray:
    """Return the exact posterior (N, 3) given the true latent variables: the upper bound for these images.

    masks: given the expert's masks as well, whose outlines show the margin with any images.
    """
    return limit_of(table.latents, subset_name(subset), masks=masks)


def hand_features(table: NodeTable, subset: tuple[str, ...]) -> np.ndarray:
    """Hand-crafted features from images and masks: (N, features).

    The topology descriptors; of the main lesion its contrast to the parenchyma in every image, its shells, quantiles
    and variogram on CT, and its shells (rim and core) on PET.
    """
    start = BLOCK_SIZES["input"] + BLOCK_SIZES["bands"]
    columns = [table.topology[0].numpy()]
    for name in subset:
        nodes = table.fixed[name][0].numpy()
        columns.append(nodes[:, 1, :1] - nodes[:, 0, :1])
        last = start + BLOCK_SIZES["shells"] if name == "ct" else start + 6
        columns.append(nodes[:, 1, start:last])
    return np.hstack(columns)


def hand_logistic(train: NodeTable, test: NodeTable, subset: tuple[str, ...]) -> np.ndarray:
    """Logistic regression on `hand_features`, fitted for this subset alone: test probabilities (N, 3)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(hand_features(train, subset), train.grade.numpy())
    return model.predict_proba(hand_features(test, subset))
