"""The radiologist's tutorial to the letter: every bold word of their steps is clicked, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import slicer
from PySide6.QtWidgets import QFileDialog, QWidget

from support.panel_steps import toggle_box, wait_for_grade, wait_for_inputs

TUTORIALS = Path(__file__).resolve().parents[3] / "docs" / "tutorials"
#: what belongs to Slicer itself, and is done there by a fixture of the host
OPENED = "Quantification > REACTKD"


def clicks(name: str) -> list[str]:
    """The bold words in the numbered steps of a tutorial."""
    steps = re.findall(r"^\d+\. .*(?:\n   .*)*", (TUTORIALS / f"{name}.md").read_text(encoding="utf-8"), re.MULTILINE)
    return [" ".join(word.split()) for step in steps for word in re.findall(r"\*\*(.+?)\*\*", step, re.DOTALL)]


class Reader:
    """Clicks what a page says, by the words on the screen."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.clicked: list[str] = []

    def follow(self, words: list[str], afterward: dict[str, Callable[[], None]]) -> None:
        """Click each word in order. afterward: what the page says to wait for or to do by hand behind a word."""
        for word in words:
            if word != OPENED:
                self.click(word)
            self.clicked.append(word)
            afterward.get(f"{word} {self.clicked.count(word)}", afterward.get(word, lambda: None))()

    def click(self, word: str) -> None:
        """Click the one button, box or row that shows this text, or where there is none the section."""
        panel = self.user.application.modules["REACTKD"].widgetRepresentation()
        found = [w for w in panel.findChildren(QWidget) if self._shows(w, word) and w.isVisible()]
        if not found and [row for row in self.user.rows("regionTable") if row[0] == word]:
            rows = [row[0] for row in self.user.rows("regionTable")]
            return self.user.click_cell("regionTable", rows.index(word))
        found = [w for w in found if not hasattr(w, "collapsed")] or found  # the button Grade, not its section
        assert len(found) == 1, f"{len(found)} things on the screen are called {word}"
        name = found[0].objectName
        self.user.open_section(name) if hasattr(found[0], "collapsed") else self.user.click(name)
        return None

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
    first, *words = clicks("radiologist")
    assert first == "Sample Data" and words[0].startswith("Phantom: ")
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
    reader.follow(words[1:], {"Grade": lambda: wait_for_grade(user), "Lesion 1 1": look, "Lesion 1 2": clear_its_box})
    assert len(places) == 1 and not user.sees("whatIfLabel")
    assert reader.clicked[-1] == "Page..." and "Lesion 1" in page.read_text(encoding="utf-8")
