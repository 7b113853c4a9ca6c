"""The page of error codes has one entry for each code that the program uses, and no others."""

from __future__ import annotations

import re

import pytest

from REACTKDLib import grade, read_case  # noqa: F401  (the classes of errors are those of what is imported)
from REACTKDLib.core import job_engines, job_pool  # noqa: F401
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.masks import fixes
from tools import error_page

PAGE = error_page.PAGE.read_text(encoding="utf-8")


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def test_every_code_has_an_entry_with_meaning_cause_and_remedy():
    assert error_page.faults(PAGE) == []


def test_the_sentences_are_those_of_the_program():
    assert error_page.brought_up_to_date(PAGE) == PAGE, "run `make lists`"


def test_the_codes_are_those_of_the_classes():
    known = error_page.error_classes()
    ours = [cls for cls in subclasses(ReactkdError) if cls.__module__.startswith("REACTKD")]
    assert len(ours) > 45
    assert {cls.__name__: cls.code for cls in ours}.items() <= known.items()
    assert set(fixes.FIXES) | set(fixes.SPLITS) <= error_page.codes()["Finding"].keys()


def test_messages_are_found_in_the_code():
    codes = error_page.codes()
    said = [text for kind in codes.values() for texts in kind.values() for text in texts]
    assert len(said) > 300
    assert not [code for code, texts in codes["Finding"].items() if not texts]
    silent = {code for code, texts in codes["error"].items() if not texts}
    assert silent == error_page.WITHOUT_SENTENCES
    assert {"unexpected", "out-of-memory", "worker-died", "case-crashed"} <= codes["error"].keys()


def test_codes_are_not_listed_as_messages():
    """The entry of `error` listed "case-not-open" and "unexpected": the first argument of an error with a code."""
    for kind, found in error_page.codes().items():
        codes = {code for code, texts in found.items() if any(re.fullmatch(r"[a-z-]+", text) for text in texts)}
        assert not codes, f"{kind}: a message of one word"
    unexpected = error_page.codes()["error"]["unexpected"]
    assert any("stopped the grading ({name}); grade again, and report it; {where}" in text for text in unexpected)


def test_every_error_has_a_code_with_its_own_cause():
    """A cause that fits every error fits none: the base class itself is raised nowhere."""
    assert "error" not in error_page.codes()["error"]


@pytest.mark.parametrize(
    ("found", "changed", "fault"),
    [
        ("### `not-pet`\n", "### `not-a-pet`\n", "not-pet (error) has no entry"),
        ("### `not-pet`\n", "### `not-a-pet`\n", "the entry not-a-pet is of no error"),
        ("### `not-pet`\n", "### `not-pet`\n\n### `not-pet`\n", "not-pet (error) has two entries"),
        (r"(?<=### `not-pet`\n\n)- Means: .*\n", "", "not-pet lacks its Means"),
        (r"(?<=### `thick-slices`\n\n)(.*\n.*\n- Remedy:) .*\n", r"\1\n", "thick-slices lacks its Remedy"),
    ],
)  # fmt: skip
def test_an_incomplete_page_is_reported(found, changed, fault):
    assert fault in error_page.faults(re.sub(found, changed, PAGE, count=1))
