"""Pages get their tables from commands, which replace only what stands between the markers of one group."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.results.pages import ABSENT, fill_page

PAGE = "a\n<!-- x:one -->\nold\n<!-- /x -->\nb\n<!-- y:one -->\nkept\n<!-- /y -->\n<!-- x:two -->\n<!-- /x -->\nc\n"


def test_a_group_is_filled_again_and_again_and_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    for text in ("first | \\1", "second"):
        assert fill_page(page, "x", {"one": text}) == ["two"]
    filled = PAGE.replace("old", "second").replace("<!-- x:two -->\n", f"<!-- x:two -->\n{ABSENT}\n")
    assert page.read_text() == filled


def test_a_page_without_markers_is_refused_and_the_lines_to_add_are_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    with pytest.raises(UsageError, match="page.md has no place.*<!-- z:NAME -->.*one of methods"):
        fill_page(page, "z", {"methods": "text"})
    assert page.read_text() == PAGE
