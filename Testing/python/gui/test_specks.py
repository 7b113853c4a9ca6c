"""A stray voxel is reported and left out of the grade, unless the reader keeps it by a click."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.edits import mask_of, paint
from support.panel_steps import GRADE_S, grade, wait_for_inputs
from support.small_cases import small_case

SMALLER = np.diag([0.9, 0.9, 0.9, 1.0])  # so that a voxel of the CT has 0.041 ml, below the 0.05 ml minimum of a lesion


@pytest.fixture
def fine_nodes(user: Any, scene: Any, small_model: Path) -> Any:
    """A small case whose single voxels are small enough to be specks, chosen by the panel itself."""
    from REACTKDLib.scene.case import nodes_from_case
    from REACTKDLib.scene.panel_state import PanelState

    case = small_case()
    volumes = {m: replace(v, ijk_to_ras=SMALLER @ v.ijk_to_ras) for m, v in case.volumes.items()}
    nodes = nodes_from_case(scene, replace(case, volumes=volumes))
    PanelState.of(scene).model = str(small_model)
    wait_for_inputs(user, nodes)
    return nodes


def test_a_stray_voxel_is_left_out_until_it_is_kept(user: Any, fine_nodes: Any, context: Any) -> None:
    from scipy.ndimage import binary_dilation, binary_erosion

    nodes = fine_nodes
    liver, tumor = (mask_of(nodes.segmentation, name, nodes.reference) for name in ("Liver", "Tumor"))
    inside = binary_erosion(liver, iterations=3) & ~binary_dilation(tumor, iterations=4)
    voxel = np.zeros_like(liver)
    voxel[tuple(np.argwhere(inside)[0])] = True
    grade(user)
    alone, lesions = context.report.probabilities, len(context.report.regions)
    paint(nodes.segmentation, "Tumor", voxel, nodes.reference)
    grade(user)
    assert context.report.probabilities == pytest.approx(alone, abs=1e-6) and len(context.report.regions) == lesions
    row = next(n for n in range(9) if "not graded" in user.text(f"findingLabel{n}"))
    user.screenshot("masks-speck")
    user.click(f"findingKeepButton{row}")
    user.wait_until(lambda: user.find("gradeButton").enabled, GRADE_S, "the panel to be ready")
    grade(user)
    assert len(context.report.regions) == lesions + 1
    assert context.report.probabilities != pytest.approx(alone, abs=1e-6)
