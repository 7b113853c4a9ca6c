"""The parsers accept each of our commands shown on a page; those of the README are also run (test_readme.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from support.page_commands import PAGES, check, commands_in

COMMANDS = {page: list(commands_in(page.read_text(encoding="utf-8"))) for page in PAGES}


def test_commands_are_found() -> None:
    assert sum(map(len, COMMANDS.values())) > 40


@pytest.mark.parametrize("page", [page for page, found in COMMANDS.items() if found], ids=lambda page: page.name)
def test_the_commands_of_a_page_are_accepted(page: Path) -> None:
    for program, arguments in COMMANDS[page]:
        check(program, arguments)


def test_a_wrong_command_is_reported() -> None:
    text = "Text\n\n    reactkd grade --ct a.nii.gz \\\n      --sgmentation b.nrrd --output c  # why\n"
    ((program, arguments),) = commands_in(text)
    assert arguments[-2:] == ["--output", "c"]
    with pytest.raises(UsageError):
        check(program, arguments)
