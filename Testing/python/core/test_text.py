"""Translatable texts keep their template and values through messages and files, and so do errors and findings."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from REACTKDLib.core.errors import NoLiver, NotPet, ReactkdError
from REACTKDLib.core.findings import Finding, finding_from, to_entry
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.review.record import failure_of
from REACTKDLib.core.text import Text, isolated, joined, measured, packed, plural, sentence, text_from, unpacked
from REACTKDLib.core.text import tr as _


@given(st.text(max_size=30), st.integers())
def test_a_text_is_its_english_and_passes_through_messages_whole(name: str, count: int) -> None:
    inner = plural(count, _("{count} lesion"), _("{count} lesions"))
    text = joined([_("The segment {name} has {lesions}.").format(name=name, lesions=inner), "Plain."])
    assert text == f"The segment {name} has {count} {'lesion' if count == 1 else 'lesions'}. Plain."
    sent = json.loads(json.dumps(packed([text]), allow_nan=False), object_hook=unpacked)[0]
    kept = text_from(json.loads(json.dumps(packed(text))), str.__str__(text))
    for same in (sent, kept, pickle.loads(pickle.dumps(text))):
        assert same == text and same.values["part1"].values["lesions"].template == inner.template
    assert json.loads(json.dumps({"message": text})) == {"message": str.__str__(text)}  # files hold English only


@given(st.floats(1e-9, 1e9), st.integers(2, 4))
def test_a_measured_number_has_no_exponent_and_its_digits(value: float, digits: int) -> None:
    text = measured(value, digits)
    assert "e" not in text and float(text) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))
    assert float(text) == pytest.approx(value, abs=0.5) and measured(-value, digits) == f"-{text}"


def test_a_measured_number_is_as_short_as_it_can_be() -> None:
    values = {
        0.0: "0",
        0.05: "0.05",
        0.00003: "0.00003",
        2.13: "2.1",
        16.1: "16",
        99.7: "100",
        154.6: "155",
        1350: "1350",
    }
    assert {value: measured(value) for value in values} == values
    assert measured(-1019.6, 3) == "-1020" and measured(12345.0, 4) == "12345"


def test_the_message_of_an_error_is_its_template_with_its_values() -> None:
    error = NoLiver(_("The {organ} mask is empty; draw the {organ}."), organ="liver")
    assert str(error) == "The liver mask is empty; draw the liver."
    assert (error.code, error.template) == ("no-liver", "The {organ} mask is empty; draw the {organ}.")
    assert error.values == {"organ": "liver"} and error.message.context == "core.test_text"
    assert str(NotPet(_("{role} is flat."), role=ROLES[Modality.CT])) == "The CT is flat."
    assert str(NotPet(_("{name} is flat."), name="model.pt")) == "model.pt is flat."  # a name is not translated
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    plain = ReactkdError("It {is} plain.")
    assert (str(plain), plain.template, plain.values) == ("It {is} plain.", "It {is} plain.", {})
    with pytest.raises(KeyError):
        NoLiver(_("The {organ} mask is empty."), liver="liver")


def test_a_stored_template_is_used_if_it_agrees_with_the_stored_english() -> None:
    text = sentence(_("{image} is flat.").format(image=ROLES[Modality.FDG]))
    entry = json.loads(json.dumps(to_entry(Finding("flat", "info", text))))
    assert entry["message"] == "The FDG PET is flat."
    assert finding_from(entry).message.values["image"].template == "the FDG PET"
    assert not isinstance(finding_from(entry | {"message": "The CT is flat."}).message, Text)
    assert finding_from({"code": "flat", "severity": "info", "message": "It is flat."}).message == "It is flat."
    assert "text" not in failure_of("flat", "It is flat.") and failure_of("flat", text)["text"]["template"]


@pytest.mark.parametrize("part", ["context", "template", "values", "raised"])
@pytest.mark.parametrize("wrong", [None, [1], {"a": None}, 7])
def test_a_damaged_text_is_refused_or_replaced_by_the_english(part: str, wrong: object) -> None:
    entry = {**packed(_("The {organ} is empty.").format(organ="liver")), part: wrong}
    assert text_from(entry, "The liver is empty.") == "The liver is empty."
    try:
        unpacked(entry)
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("case 7", "case 7"),
        ("n" * 200, "n" * 200),
        ("a\u202eb\nc", "a\\u202eb\\nc"),
        ("\u05d0 1", "\u2068\u05d0 1\u2069"),
        ("\u0645\u06cc\u200c\u0631", "\u2068\u0645\u06cc\u200c\u0631\u2069"),
        ("x \u0627\u2067", "\u2068x \u0627\\u2067\u2069"),
        ("\u80dd\u53f3\u53f6 \U0001f600", "\u80dd\u53f3\u53f6 \U0001f600"),
    ],
)
def test_a_name_in_a_text_on_a_screen_turns_nothing_after_it(name: str, expected: str) -> None:
    assert isolated(name) == expected


@pytest.mark.parametrize("other", [0.8, 1, None, b"a"])
def test_only_text_can_be_added_to_a_text(other):
    """A number was taken as its letters, so that matplotlib drew a name and a width as another name."""
    with pytest.raises(TypeError):
        _("Parenchyma") + other
    assert _("Parenchyma") + " 1" == "Parenchyma 1"
