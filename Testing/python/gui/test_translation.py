"""Every text of the panel can be translated, including those from the core.

Checked with an artificial language in which no English letters remain.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QTranslator
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QTableWidget,
    QWidget,
)

from REACTKDLib.core.cases.open_job import mask_roles
from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.files.dicom.members import left_out_text
from REACTKDLib.core.files.headers import cut_off
from REACTKDLib.core.images.pet_values import check_pet
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.task import HCC_GRADE
from REACTKDLib.core.text import joined, listed, packed, quoted, sentence, text_from, unpacked
from support.case_files import write_case
from support.edits import mask_of, paint
from support.made_up_language import made_up, write_translation
from support.panel_steps import GRADE_S, choose_model, grade
from support.training_folders import TrainingFolder

#: not translated: units, file types, and names of models
_UNITS = {"mm", "ml", "HU", "SUV", "CT", "FDG", "PET", "Ctrl", "Shift", "Alt"}  # and names of keys


@pytest.fixture(scope="session")
def translation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled translation."""
    return write_translation(tmp_path_factory.mktemp("language"))


@pytest.fixture
def language(application: Any, translation: Path) -> Iterator[QTranslator]:
    """The application in that language, set before the panel is created."""
    translator = QTranslator()
    assert translator.load(str(translation))
    QCoreApplication.installTranslator(translator)
    yield translator
    QCoreApplication.removeTranslator(translator)


def shown_texts(panel: QWidget) -> Iterator[tuple[str, str]]:
    """Yield (where, text) for every text and tool tip of a panel, whether currently visible or not."""
    for widget in panel.findChildren(QWidget):
        if type(widget.parent()).__name__.startswith("qMRMLNode"):
            continue  # the application's own, such as "None"
        where = f"{type(widget).__name__} {widget.property('objectName')}"
        yield f"{where} tool tip", widget.property("toolTip") or ""
        if isinstance(widget, (QLabel, QAbstractButton, QLineEdit)):
            yield where, widget.property("text") or ""
        elif isinstance(widget, QComboBox):
            yield from ((where, QComboBox.itemText(widget, n)) for n in range(widget.property("count")))
        elif isinstance(widget, QListWidget):
            yield from ((where, QListWidget.item(widget, n).text()) for n in range(widget.property("count")))
        elif isinstance(widget, QProgressBar):
            yield where, widget.property("format") or ""
        elif isinstance(widget, QTableWidget):
            columns, rows = QTableWidget.columnCount(widget), QTableWidget.rowCount(widget)
            items = [QTableWidget.horizontalHeaderItem(widget, c) for c in range(columns)]
            items += [QTableWidget.item(widget, r, c) for r in range(rows) for c in range(columns)]
            for item in filter(None, items):
                yield where, item.text()
                yield f"{where} tool tip", item.toolTip()


def english(panel: QWidget, names: set[str]) -> list[tuple[str, str]]:
    """The texts left in English. names: names of data, which are not translated."""
    found = []
    for where, text in shown_texts(panel):
        bare = re.sub(r"<[^>]*>|&\w+;", " ", text)
        for name in sorted(names, key=len, reverse=True):
            bare = bare.replace(name, " ")
        words = set(re.findall("[A-Za-z]{2,}", bare)) - _UNITS
        if words:
            found.append((where, text))
    return found


@pytest.fixture
def names(language: Any, user: Any, scene: Any, nodes: Any, context: Any) -> set[str]:
    """Names of nodes, segments and the model."""
    data = nodes.segmentation.GetSegmentation()
    found = {data.GetSegment(i).GetName() for i in data.GetSegmentIDs()}
    found |= {node.GetName() for node in nodes.all()}
    return found | {str(context.state.model)}


def test_every_text_of_the_panel_is_translated(
    language: Any, names: set[str], user: Any, panel: Any, nodes: Any, context: Any, scene: Any
) -> None:
    assert english(panel, names) == []
    liver = mask_of(nodes.segmentation, "Liver", nodes.reference)
    far = np.zeros_like(liver)
    far[2:5, 4:9, 4:9] = True
    paint(nodes.segmentation, "Tumor", far & ~liver, nodes.reference)
    user.open_section("masksSection")
    user.click("checkButton")
    user.wait_until(lambda: user.find("checkButton").enabled, GRADE_S, "the check")
    assert user.sees("findingLabel0")
    assert english(panel, names) == []
    grade(user)
    model = context.report.model
    names |= {model.name, model.version, sentence(model.clinical_use)}  # a model's own metadata is not translated
    assert english(panel, names) == []
    kind = "vtkMRMLColorLegendDisplayNode"
    legends = [scene.GetNthNodeByClass(n, kind).GetTitleText() for n in range(scene.GetNumberOfNodesByClass(kind))]
    assert legends and not re.search("[A-Za-z]{2,}", " ".join(legends))
    drawn = [node.GetSegmentation() for node in (context.outputs.regions, context.outputs.liver_outline)]
    drawn = [data.GetNthSegment(n).GetName() for data in drawn for n in range(data.GetNumberOfSegments())]
    assert len(drawn) > 2 and not re.search("[A-Za-z]{2,}", " ".join(drawn)), "texts in the views must be translated"
    user.screenshot("made-up-language")


def test_messages_on_missing_inputs_are_translated(language: Any, names: set[str], user: Any, panel: Any, nodes: Any):
    user.open_section("inputsSection")
    user.choose("segmentationSelector", None)
    assert re.search("ñ", user.text("stateLabel"))
    assert english(panel, names) == []
    for name in ("ctSelector", "fdgSelector", "acetateSelector"):
        user.choose(name, None)
    assert english(panel, names) == []
    user.choose("ctSelector", nodes.volumes[Modality.FDG])
    user.choose("segmentationSelector", nodes.segmentation)
    user.click("gradeButton")
    user.wait_until(lambda: user.find("gradeButton").enabled, GRADE_S, "the refusal")
    assert english(panel, names) == []


def _no_uptake() -> str:
    with pytest.raises(ReactkdError) as caught:
        check_pet(np.zeros((4, 4, 4)), ROLES[Modality.FDG])
    return str(caught.value)


def _two_sentences() -> str:
    from REACTKDLib.scene.reading import FIRST, LAST

    return joined([LAST, FIRST])


#: what the core says, with data in backquotes -> the code that makes it say so
SAID: dict[str, Callable[[], str]] = {
    "The FDG PET holds no uptake: every voxel is zero or the same; give another file.": _no_uptake,
    "The file of the liver mask is cut off or damaged; copy or export it again.": lambda: str(
        cut_off(mask_roles(HCC_GRADE)[0])
    ),
    "The series of the CT holds `2` objects that are no images and `1` image that is a page or a picture of a screen "
    "beside its slices; they were left out.": lambda: left_out_text(
        [(None, "object"), (None, "object"), (None, "page")], ROLES[Modality.CT]
    ),
    "the CT, the FDG PET and the acetate PET": lambda: listed([ROLES[modality] for modality in Modality]),
    "`'{count} is none', 'the CT'` and `1` more": lambda: quoted(["{count} is none", "the CT", "c"], 2),
    "This is the last case of the list. This is the first case of the list.": _two_sentences,
    "`A fault of nobody's making.`": lambda: str(UsageError("A fault of nobody's making.")),
}


@pytest.mark.parametrize("marked", SAID)
def test_values_are_kept_in_translated_texts(language: Any, marked: str) -> None:
    from REACTKDLib.scene.translation import translated

    parts, text = marked.split("`"), SAID[marked]()
    assert text == "".join(parts)
    expected = "".join(part if n % 2 else made_up(part) for n, part in enumerate(parts))
    for same in (text, json.loads(json.dumps(packed(text)), object_hook=unpacked), pickle.loads(pickle.dumps(text))):
        assert translated(same) == expected
    assert translated(text_from(json.loads(json.dumps(packed(text))), str.__str__(text))) == expected
    assert translated(text_from(packed(text), "another text")) == "another text"


def test_without_a_translation_the_english_text_is_shown(application: Any) -> None:
    from REACTKDLib.scene.translation import translated

    for marked, text in SAID.items():
        assert translated(text()) == marked.replace("`", "")


def test_a_translation_that_lost_a_value_is_not_used(application: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from REACTKDLib.scene import translation as module

    text, translated = quoted("abc", 2), module.translated
    for slip in ("Fall {fall}", "Fall", "{names} und {count", "{names} {count} {other}"):
        monkeypatch.setattr(module, "translate", lambda _context, _text, slip=slip: slip)
        assert translated(text) == text
    monkeypatch.setattr(module, "translate", lambda _context, _text: "{count} { und {names}")
    assert translated(text) == "1 { und 'a', 'b'"


def test_texts_of_lists_reports_and_trainings_are_translated(
    language: Any, names: set[str], user: Any, panel: Any, small_model: Path, tmp_path: Path,
    phantom_case: Any, context: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("case 1", "case 2", "case 3"):
        write_case(phantom_case, tmp_path / "cohort" / name)
    (tmp_path / "cohort" / "case 2" / "CT.nii.gz").write_text("no image")
    (tmp_path / "cohort" / "case 3" / "FDG.nii.gz").unlink()
    names |= {"case 1", "case 2", "case 3", "cohort", "results.csv", "review.reactkd.results", str(small_model)}
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(tmp_path / "cohort")))
    user.toggle_section("casesSection")
    user.click("openFolderButton")
    choose_model(user, small_model)
    assert english(panel, names) == []
    user.toggle_section("reportSection")
    user.click("batchButton")
    user.wait_until(lambda: user.find("batchButton").enabled, GRADE_S, "the batch")
    assert english(panel, names) == []
    for case in ("case 1", "case 2"):
        user.click("nextCaseButton")
        user.wait_until(lambda: user.find("nextCaseButton").enabled, GRADE_S, "the case")
        if case == "case 1":
            names |= {context.report.model.name}  # opening a case shows its answer, which names the model
    assert "'case 2'" in user.text("casesMessageLabel")
    assert english(panel, names) == []
    training = TrainingFolder(tmp_path / "run")
    training.step(0, "teacher", 4)
    user.toggle_section("trainingSection")
    user.type("trainingPathEdit", str(training.folder))
    names |= {str(training.folder), "react-kd", "phantom hospital"}
    assert english(panel, names) == []
    user.type("trainingPathEdit", str(tmp_path / "nothing"))
    assert user.sees("trainingMessageLabel")
    names |= {str(tmp_path / "nothing")}
    assert english(panel, names) == []
    user.screenshot("made-up-language-list")
