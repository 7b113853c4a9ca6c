"""The panel grades another task: with a model of kidney masses it refers to kidneys and to two classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.scene.case import nodes_from_case
from support.kidney_phantoms import KIDNEY, MASS_HU, draw
from support.panel_steps import choose_model, grade, wait_for_inputs
from support.small_models import metadata_for, random_student


@pytest.fixture(scope="module")
def kidney_model(tmp_path_factory: Any) -> Path:
    """A model with random weights: these tests check the wording of the answer, not the answer."""
    folder = tmp_path_factory.mktemp("model") / "kidney"
    student = random_student(classes=2, modalities=("ct",))
    task = {"task": KIDNEY.to_dict(), "organ": KIDNEY.organ.title, "lesion": KIDNEY.lesion.title}
    Bundle.save(folder, student, metadata_for(student, **task, classes=list(KIDNEY.class_names)))
    return folder


def test_the_panel_names_the_organ_and_lesions_of_its_model(
    user: Any, scene: Any, context: Any, kidney_model: Path
) -> None:
    ct, organ, mass = draw(5, MASS_HU["malignant"])
    nodes = nodes_from_case(scene, Case("case", {Modality.CT: ct}, organ, mass, task=KIDNEY))
    wait_for_inputs(user, nodes)
    user.open_section("inputsSection")
    assert user.text("liverLabel") == "Liver:"
    assert "No segment is recognized as the liver" in user.text("stateLabel")
    choose_model(user, kidney_model)
    user.open_section("inputsSection")
    assert user.text("liverLabel") == "Kidney:" and user.text("tumorLabel") == "Masses:"
    assert user.text("liverComboBox") == "Kidney" and user.text("stateLabel") == "Ready to grade."
    grade(user)
    assert user.text("gradeLabel").find(KIDNEY.class_title(context.report.grade)) >= 0 or "Uncertain" in user.text(
        "gradeLabel"
    )
    shown = {name: float(user.find(f"probabilityBar_{name}").format.split()[0]) for name in KIDNEY.class_names}
    assert shown == pytest.approx({k: round(100 * v, 1) for k, v in context.report.probabilities.items()})
    assert context.report.task == KIDNEY
    user.open_section("settingsSection")
    assert "Your grade: malignant" in user.text("keysLabel") and "moderate" not in user.text("keysLabel")
    user.screenshot("another-task")
    user.open_section("inputsSection")
    user.check("tumorList", "Mass", on=False)
    grade(user)
    assert "No mass is marked in the kidney" in user.text("findingLabel0")
