"""The panel's list of what the core can say is what the core says."""

from __future__ import annotations

import ast

import pytest

from tools import sentences


def test_the_list_is_up_to_date() -> None:
    text = (sentences.REPOSITORY / sentences.TARGET).read_text(encoding="utf-8")
    assert text == sentences.page(sentences.sentences()), "run `make lists`"


def test_the_list_is_found_as_it_was_said() -> None:
    tree = ast.parse(sentences.page(sentences.sentences()))
    listed = next(node for node in tree.body if isinstance(node, ast.Assign)).value.elts
    assert [call.args[0].value for call in listed] == sentences.sentences()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise NoLiver("The liver is gone; draw it anew.")', ["The liver is gone; draw it anew."]),
        ('"""The module says nothing of the kind."""', []),
        ('x = f"The {ROLES[m]} has {100 * share:.0f} % of it."', ["The {image} has {value} % of it."]),
        ('x = f"{a.name} and {b.name} are one and the same."', ["{name} and {name2} are one and the same."]),
        (
            "x = f\"It holds {plural(n, 'hole')} in all.\"",
            ["It holds {counted} in all.", "{count} hole", "{count} holes"],
        ),
        ("x = f\"This file {'is read' if a else 'begins'} anew.\"", ["This file {value} anew.", "is read", "begins"]),
        ('x = f"It is {why}; see {{braces}} in it."', ["It is {why}; see {{braces}} in it."]),
        ('if "This is looked for here." in text: pass', []),
        ('raise ValueError("This is for programmers to read.")', []),
        ('x = "liver-in-pieces"', []),
    ],
)
def test_what_is_a_sentence(source: str, found: list[str]) -> None:
    assert list(sentences.texts_of(source)) == found


@pytest.mark.parametrize("text", ["Reading the images", "the patient's weight is missing", "Opening {case_id}"])
def test_what_is_a_phrase(text: str) -> None:
    assert sentences.is_phrase(text)


@pytest.mark.parametrize(
    "text", ["%Y-%m-%d %H:%M", "PROJECTION IMAGE", "field-moved", ".nii.gz", "{a}: {b}", "the {x}"]
)
def test_what_is_none(text: str) -> None:
    assert not sentences.is_phrase(text)
