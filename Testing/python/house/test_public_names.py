"""The public API is documented: the page of public names is up to date, and CHANGELOG.md lists each change."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from tools import api_page

REPOSITORY = Path(__file__).resolve().parents[3]
CHANGELOG = REPOSITORY / "CHANGELOG.md"
RELEASED = REPOSITORY / "docs" / "reference" / "released.json"


def not_announced(now: dict[str, str], released: dict[str, str], changelog: str) -> list[str]:
    """Names added, removed or changed since the release but missing in the section "Unreleased"."""
    section = changelog.partition("## Unreleased")[2].partition("\n## ")[0]
    announced = set(re.findall(r"`([\w.]+)`", section))
    changed = {name for name in now.keys() | released.keys() if now.get(name) != released.get(name)}
    tops = {".".join(name.split(".")[:2]) for name in changed}
    return sorted(name for name in tops if name.split(".")[1] not in announced and name not in announced)


def test_the_page_of_public_names_is_up_to_date():
    assert api_page.page() == api_page.PAGE.read_text(encoding="utf-8"), "run `make lists`"


def test_every_change_of_a_public_name_is_in_the_changelog():
    released = json.loads(RELEASED.read_text(encoding="utf-8"))
    assert not_announced(api_page.signatures(), released, CHANGELOG.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ({"A.f": "(x)"}, []),
        ({"A.f": "(x, y)"}, ["A.f"]),
        ({}, ["A.f"]),
        ({"A.f": "(x)", "A.g": "()"}, []),
        ({"A.f": "(x)", "A.C.m": "()"}, ["A.C"]),
    ],
    ids=["same", "changed", "gone", "announced", "method"],
)
def test_a_change_missing_in_the_changelog_is_reported(now, found):
    text = "## Unreleased\n\n- `g` is new.\n\n## 1.0\n\n- `f` and `C`\n"
    assert not_announced(now, {"A.f": "(x)"}, text) == found


def test_every_public_name_is_described():
    short = {name for name, _signature, doc, kind in api_page.entries() if kind == "function" and "Example:" not in doc}
    assert short <= {"REACTKDTrainLib.open_cohort"}
    assert not [name for name, _signature, doc, _kind in api_page.entries() if not doc]


def test_a_wrapped_paragraph_of_a_docstring_stays_one_on_the_page() -> None:
    doc = "Grade.\n\nReturns: a line\nor two.\nRaises: UsageError; TypeError for an\nargument.\nExample:\n    >>> 1"
    assert "\n".join(api_page._text(doc)).split("\n\n") == [
        "Grade.",
        "\nReturns: a line\nor two.",
        "Raises: UsageError; TypeError for an\nargument.",
        "Example:",
        "```text\n    >>> 1\n```",
    ]


def test_no_paragraph_of_the_page_begins_in_the_middle_of_a_sentence() -> None:
    """`Raises: ... TypeError for an` and `argument that does not exist.` were two paragraphs."""
    page, broken = api_page.page(), []
    for first, then in itertools.pairwise(re.sub(r"```.*?```", "", page, flags=re.DOTALL).split("\n\n")):
        if first.strip() and re.match(r"[a-z\"]", then.strip()) and not first.rstrip().endswith((".", ":")):
            broken.append((first.strip()[-60:], then.strip()[:60]))
    assert broken == []
