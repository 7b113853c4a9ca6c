"""The panel grades another task: with a model of kidney masses it refers to kidneys and to two classes."""

from __future__ import annotations

import re
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


def words_of(root: Any) -> set[str]:
    """Every text of the widgets below `root`, with tool tips and the entries of lists and tables, also hidden ones."""
    from PySide6.QtCore import Qt
    from PySide6.QtWidgets import QAbstractItemView, QComboBox, QTableView, QWidget

    found: set[Any] = set()
    for widget in root.findChildren(QWidget):
        for name in ("text", "plainText", "title", "toolTip", "statusTip", "whatsThis", "placeholderText", "format"):
            found.add(widget.property(name))
        model = widget.model() if isinstance(widget, (QAbstractItemView, QComboBox)) else None
        if model is None:
            continue
        for column in range(model.columnCount() if isinstance(widget, QTableView) else 1):
            rows = [model.index(row, column) for row in range(model.rowCount())]
            for role in (Qt.DisplayRole, Qt.ToolTipRole):
                found |= {model.headerData(column, Qt.Horizontal, role), *(row.data(role) for row in rows)}
    return {str(text) for text in found if text}


def test_no_text_of_the_panel_names_another_organ_lesion_or_class(
    user: Any, scene: Any, context: Any, kidney_model: Path, widget: Any
) -> None:
    """Tool tips of the section Inputs said liver and tumors for every model."""
    ct, organ, mass = draw(5, MASS_HU["malignant"])
    nodes = nodes_from_case(scene, Case("case", {Modality.CT: ct}, organ, mass, task=KIDNEY))
    choose_model(user, kidney_model)
    wait_for_inputs(user, nodes)
    grade(user)
    said = words_of(widget.parent)
    assert any("Kidney" in text for text in said) and any("Malignant" in text for text in said)
    foreign = re.compile(r"\b(livers?|tumou?rs?|hepat\w+|hcc|well|moderate|poor|three grades)\b", re.IGNORECASE)
    said.remove("Moderate")  # how hard the case was
    assert sorted(text for text in said if foreign.search(text.replace("as well", ""))) == []
