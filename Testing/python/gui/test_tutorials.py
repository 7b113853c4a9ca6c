"""Two tutorials to the letter, in the order of the page: what is bold is clicked, what is slanted is read."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import slicer
from PySide6.QtWidgets import QFileDialog, QWidget

from support.edits import mask_of, paint
from support.panel_steps import GRADE_S, toggle_box, wait_for_grade, wait_for_inputs

TUTORIALS = Path(__file__).resolve().parents[3] / "docs" / "tutorials"
#: what belongs to Slicer itself, and is done there by a fixture of the host
OPENED = "Quantification > REACTKD"
#: words on the screen of Slicer's own modules, and the grades of the pages' patients by the shipped model
ELSEWHERE = {"REACTKD: digital phantoms", "Paint", "Tumor", "Moderately differentiated", "Well differentiated"}
#: buttons of questions that Slicer asks before it installs packages, which are there already where tests run
ASKED_BY_SLICER = {"OK"}


def marked_words(name: str) -> list[tuple[str, bool]]:
    """The words in the numbered steps of a tutorial that are bold (True) or slanted (False)."""
    steps = re.findall(r"^\d+\. .*(?:\n   .*)*", (TUTORIALS / f"{name}.md").read_text(encoding="utf-8"), re.MULTILINE)
    found = [match for step in steps for match in re.findall(r"\*\*(.+?)\*\*|\*(.+?)\*", step, re.DOTALL)]
    return [(" ".join((bold or slanted).split()), bool(bold)) for bold, slanted in found]


class Reader:
    """Clicks what a page says, by the words on the screen."""

    def __init__(self, user: Any, beside: str = "") -> None:
        """beside: of several findings, the words of the one that the page speaks of."""
        self.user, self.beside = user, beside
        self.clicked: list[str] = []

    def follow(self, words: list[tuple[str, bool]], afterward: dict[str, Callable[[], None]]) -> None:
        """Click or read each word in order. afterward: what the page says to wait for or to do behind a click."""
        for word, bold in words:
            if not bold:
                assert word in ELSEWHERE or self.reads(word), f"{word} is nowhere on the screen"
                continue
            if word in ASKED_BY_SLICER:
                continue
            if word != OPENED:
                self.click(word)
            self.clicked.append(word)
            afterward.get(f"{word} {self.clicked.count(word)}", afterward.get(word, lambda: None))()

    def reads(self, words: str) -> bool:
        """Whether the panel shows these words."""
        panel = self.user.application.modules["REACTKD"].widgetRepresentation()
        shown = [w for w in panel.findChildren(QWidget) if w.isVisible()]
        cells = [cell for row in self.user.rows("regionTable") for cell in row] if self.user.sees("regionTable") else []
        cases = self.user.find("casesTable")
        titles = [cases.horizontalHeaderItem(n).text() for n in range(cases.columnCount) if not cases.isColumnHidden(n)]
        texts = [*(str(getattr(w, "text", "")) for w in shown), *cells, *(titles if cases.isVisible() else [])]
        return any(words in html.unescape(text).replace("\xa0", " ") for text in texts)  # a label holds HTML

    def click(self, word: str) -> None:
        """Click the one button, box or row that shows this text, or where there is none the section."""
        panel = self.user.application.modules["REACTKD"].widgetRepresentation()
        found = [w for w in panel.findChildren(QWidget) if self._shows(w, word) and w.isVisible()]
        if not found and [row for row in self.user.rows("regionTable") if row[0] == word]:
            rows = [row[0] for row in self.user.rows("regionTable")]
            return self.user.click_cell("regionTable", rows.index(word))
        found = [w for w in found if not hasattr(w, "collapsed")] or found  # the button Grade, not its section
        found = [w for w in found if not w.objectName.startswith("finding") or self._spoken_of(w)]
        assert len(found) == 1, f"{len(found)} things on the screen are called {word}"
        name = found[0].objectName
        self.user.open_section(name) if hasattr(found[0], "collapsed") else self.user.click(name)
        return None

    def _spoken_of(self, button: Any) -> bool:
        """Whether it stands beside the finding that the page speaks of."""
        number = re.sub(r"\D", "", button.objectName)
        return self.beside in self.user.text(f"findingLabel{number}")

    @staticmethod
    def _shows(widget: Any, word: str) -> bool:
        if not (widget.inherits("QAbstractButton") or hasattr(widget, "collapsed")):
            return False
        text = str(widget.text).replace("&", "")
        return text == word or (hasattr(widget, "collapsed") and text.partition(":")[0] == word)


@pytest.mark.slow  # each click has a quicker test elsewhere; here the page is held to the panel
def test_the_radiologist_grades_a_first_case(
    user: Any, widget: Any, phantom_nodes: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    first, category, patient, *words = marked_words("radiologist")
    assert first == ("Sample Data", True) and category[0] in ELSEWHERE and patient[0].startswith("Phantom: ")
    wait_for_inputs(user, phantom_nodes)
    page = tmp_path / "page.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: str(page)))
    places: list[Any] = []

    def look() -> None:
        red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        places.append(slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS())[:3, 3].copy())

    def clear_its_box() -> None:
        toggle_box(user, "regionTable", [row[0] for row in user.rows("regionTable")].index("Lesion 1"))
        user.wait_until(lambda: user.sees("whatIfLabel"), what="the grade without it")

    reader = Reader(user)
    reader.follow(words, {"Grade": lambda: wait_for_grade(user), "Lesion 1 1": look, "Lesion 1 3": clear_its_box})
    assert len(places) == 1 and not user.sees("whatIfLabel")
    assert reader.clicked[-1] == "Page..." and "Lesion 1" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_annotator_corrects_a_list(
    user: Any, widget: Any, context: Any, application: Any, small_model: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    from REACTKDLib.__main__ import main
    from support.panel_steps import choose_model

    monkeypatch.chdir(tmp_path)
    text = (TUTORIALS / "annotator.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "reactkd" and main(arguments) == 0
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(tmp_path / "cases")))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: str(tmp_path / "table.csv")))
    choose_model(user, small_model)

    def opened(case: str) -> Callable[[], None]:
        return lambda: user.wait_until(
            lambda: context.nodes is not None and context.state.case_id == case, GRADE_S, f"the case {case}"
        )

    def paint_a_dot() -> None:
        assert application.selected == "SegmentEditor"
        nodes, before = context.nodes, context.report
        dot = mask_of(nodes.segmentation, "Tumor", nodes.reference) & False
        dot[2:5, 4:9, 4:9] = True
        paint(nodes.segmentation, "Tumor", dot, nodes.reference)
        application.select_module("REACTKD")
        user.wait_until(lambda: context.report is not before and not context.busy, GRADE_S, "the grade to follow")

    seen: list[Any] = []  # the answer that stood when a fix was proposed

    def proposed() -> None:
        user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
        seen.append(context.report)

    def followed() -> None:
        """Before the grade follows, the button may be clicked for a moment; the page says when the grade stands."""
        user.wait_until(lambda: context.report is not seen[-1] and not context.busy, GRADE_S, "the grade to follow")
        user.wait_until(lambda: user.find("splitButton").enabled, GRADE_S, "the button")

    Reader(user, "outside the liver").follow(
        marked_words("annotator"),
        {
            "Next": opened("first"),
            "Grade": lambda: wait_for_grade(user),
            "Open in Segment Editor": paint_a_dot,
            "Fix": proposed,
            "Accept": followed,
            "Split into lesions": proposed,
            "Reviewed, next case": opened("second"),
            "Grade all": lambda: user.wait_until(lambda: user.find("batchButton").enabled, GRADE_S, "all grades"),
        },
    )
    assert (tmp_path / "cases" / "review.reactkd.masks" / "first.seg.nrrd").is_file()
    assert len((tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()) == 3
