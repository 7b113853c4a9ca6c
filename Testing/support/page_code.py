"""Code blocks of a page, for tests that run them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def code_of(page: str, language: str = "python") -> list[str]:
    """Return the fenced blocks of a page of docs/, such as 'how-to/add_a_cohort.md', in order, without indentation."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _indent, block in blocks]
