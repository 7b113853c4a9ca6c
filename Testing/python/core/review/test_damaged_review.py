"""A damaged review file: readable parts are kept, others are moved to a file next to it, and saving always works."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import REACTKDLib.core.review.review as module
from REACTKDLib.core.cases.case_list import open_case_list
from REACTKDLib.core.review.record import answer_of
from REACTKDLib.core.review.review import NOT_SAVED, Review
from REACTKDLib.core.review.table import review_csv
from support.json_files import validator
from support.read_only import read_only
from support.scene_cases import make_case, make_result

AT = "2026-01-01T00:00:00Z"
ANSWER = {**answer_of(make_result(make_case()).report), "at": AT}
GOOD = {
    "answer": ANSWER,
    "reader": {"grade": "well", "at": AT},
    "reviewed": {"at": AT},
    "masks": {"file": "list.csv.reactkd.masks/a.seg.nrrd", "liver": ["Liver"], "tumor": [], "at": AT},
    "failure": {"code": "x", "reason": "y", "at": AT},
}
DEEP = "[" * 200_000 + "]" * 200_000
SCHEMA = Path(module.__file__).with_name("review.schema.json")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "list.csv.reactkd.json"


def file_with(**cases: str) -> bytes:
    """A review file as the program writes it, with the given JSON for each case."""
    lines = ",\n".join(f"{json.dumps(name)}: {text}" for name, text in cases.items())
    return f'{{"schema": "reactkd-review/1", "revision": 7, "writer": "x", "cases": {{\n{lines}\n}}}}\n'.encode()


def case(**parts: str) -> str:
    """A valid case with the given parts replaced."""
    texts = {name: json.dumps(value) for name, value in GOOD.items()} | parts
    return "{" + ", ".join(f'"{name}": {text}' for name, text in texts.items()) + "}"


def on_disk(path: Path) -> dict:
    told = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda text: pytest.fail(f"{text} in JSON"))
    validator(SCHEMA).validate(told)
    return told


def asides(path: Path) -> list[bytes]:
    return [entry.read_bytes() for entry in path.parent.iterdir() if ".damaged-" in entry.name]


def answer_with(key: str, text: str) -> str:
    return json.dumps({**ANSWER, key: "HERE"}).replace('"HERE"', text)


BAD_PARTS = {
    "NaN": ("answer", answer_with("tumor_ml", "NaN")),
    "Infinity": ("answer", answer_with("probabilities", '{"poor": Infinity}')),
    "-Infinity": ("answer", answer_with("tumor_ml", "-Infinity")),
    "1e999": ("answer", answer_with("tumor_ml", "1e999")),
    "a huge whole number": ("answer", answer_with("lesions", "9" * 400)),
    "a probability beyond 1": ("answer", answer_with("probabilities", '{"poor": 1.5}')),
    "no probability of its grade": ("answer", answer_with("probabilities", '{"well": 1}')),
    "probabilities that are none": ("answer", answer_with("probabilities", "[1]")),
    "findings of text": ("answer", answer_with("findings", '["x"]')),
    "a model of text": ("answer", answer_with("model", '"m"')),
    "an answer without its inputs": ("answer", json.dumps({k: v for k, v in ANSWER.items() if k != "inputs"})),
    "a list": ("answer", "[]"),
    "text": ("reader", '"well"'),
    "a grade that is a number": ("reader", f'{{"grade": 2, "at": "{AT}"}}'),
    "no time": ("reader", '{"grade": "well"}'),
    "true": ("reviewed", "true"),
    "a file that is a list": ("masks", f'{{"file": ["a"], "at": "{AT}"}}'),
    "segments that are text": ("masks", f'{{"file": "a", "liver": "Liver", "at": "{AT}"}}'),
    "a reason that is none": ("failure", f'{{"code": "x", "at": "{AT}"}}'),
}


@pytest.mark.parametrize(("part", "text"), BAD_PARTS.values(), ids=BAD_PARTS)
def test_a_damaged_part_is_dropped_alone(path, part, text):
    before = file_with(a=case(**{part: text}), b=case())
    path.write_bytes(before)
    review = Review(path)
    kept = review.of("a")
    assert getattr(kept, part) is None
    assert all(getattr(kept, name) == GOOD[name] for name in GOOD if name != part)
    assert all(getattr(review.of("b"), name) == GOOD[name] for name in GOOD)
    assert asides(path) == [before] and "kept as" in review.take_notices()[0]
    assert review.update("c", reader={"grade": "poor"}) and review.problem == ""
    told = on_disk(path)
    assert told["revision"] > 7 and set(told["cases"]) == {"a", "b", "c"}
    assert Review(path).of("a") == kept and len(asides(path)) == 1, "set aside once"


BAD_CASES = {
    "deep nesting": case(second_reader=DEEP),
    "deep nesting in a part": case(reader=DEEP),
    "no object": "3",
    "cut off": case()[:-40],
    "a number that Python does not read": case(second_reader="9" * 5000),
    "no JSON": "{'a': 1}",
}


@pytest.mark.parametrize("text", BAD_CASES.values(), ids=BAD_CASES)
def test_a_damaged_case_is_dropped_alone(path, text):
    before = file_with(a=case(), b=text, c=case())
    path.write_bytes(before)
    review = Review(path)
    assert set(review.cases) == {"a", "c"}
    assert all(getattr(review.of(name), part) == GOOD[part] for name in "ac" for part in GOOD)
    assert asides(path) == [before] and review.update("b", reviewed={})
    assert set(on_disk(path)["cases"]) == {"a", "b", "c"}


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_truncated_file_keeps_its_complete_lines(path, cut):
    whole = file_with(**{f"case {n}": case() for n in range(20)})
    path.write_bytes(whole[: int(len(whole) * cut)])
    review = Review(path)
    assert len(review.cases) == pytest.approx(20 * cut, abs=1.1)
    assert review.update("x", reviewed={}) and len(on_disk(path)["cases"]) == len(review.cases)


def test_invalid_text_drops_its_line_only(path):
    path.write_bytes(file_with(a=case(), b=case(), c=case()).replace(b'"b": {', b'"b\xff": {'))
    assert set(Review(path).cases) == {"a", "c"}


@pytest.mark.parametrize(
    "head", ['"revision": 1e999', '"revision": "x"', '"revision": ' + "9" * 300, '"revision": -1', '"x": 0']
)
def test_a_damaged_head_drops_no_case(path, head):
    path.write_bytes(file_with(a=case()).replace(b'"revision": 7', head.encode()))
    review = Review(path)
    assert review.of("a").reader == GOOD["reader"] and review.update("b", reviewed={})
    assert set(on_disk(path)["cases"]) == {"a", "b"}


def test_a_duplicated_key_is_set_aside(path):
    before = file_with(a=case(), b=case()).replace(b'"b":', b'"a":')
    path.write_bytes(before)
    review = Review(path)
    assert set(review.cases) == {"a"} and asides(path) == [before]


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "=1+1", "x" * 5000, "王", '"\\\n'])
def test_any_name_is_saved_and_found(path, name):
    review = Review(path)
    assert review.update(name, reader={"grade": "well\udfff"}) and review.update("b", reviewed={})
    assert Review(path).of(name).reader_grade == "well\udfff"
    assert review_csv(open_list(path, name), review).startswith("case,")


def open_list(path: Path, name: str):
    (path.parent / "l.json").write_text(json.dumps({"training": [{"id": name, "ct": "x"}]}))
    return open_case_list(path.parent / "l.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, object(), (1, 2), {1: 2}, [[[]]] * 3])
def test_whatever_is_set_is_saved(path, value):
    review = Review(path)
    assert review.update("a", reader={"grade": "well", "more": value})
    assert Review(path).of("a") == review.of("a") and review.of("a").reader_grade == "well"


def test_an_open_window_restores_what_a_damaged_file_lost(path):
    review = Review(path)
    review.update("a", reader={"grade": "well"}, reviewed={})
    text = path.read_text().replace('"grade": "well"', '"grade": NaN').replace('"revision": 1', '"revision": 2')
    path.write_text(text)
    assert review.update("b", reviewed={}) and review.of("a").reader_grade == "well"
    assert on_disk(path)["cases"]["a"]["reader"]["grade"] == "well" and asides(path) == [text.encode()]


def test_a_damaged_file_is_not_overwritten_before_it_is_kept_aside(path, tmp_path):
    before = file_with(a=case(), b="3")
    path.write_bytes(before)
    with read_only(tmp_path):
        review = Review(path)
        assert review.of("a").reader == GOOD["reader"] and review.problem == NOT_SAVED
        assert not review.update("b", reviewed={}) and path.read_bytes() == before
    assert review.flush() and asides(path) == [before] and set(on_disk(path)["cases"]) == {"a", "b"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe")
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_review_that_is_not_a_regular_file_is_refused_at_once(path, kind):
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    found: list[Review] = []
    thread = threading.Thread(target=lambda: found.append(Review(path)), daemon=True)
    thread.start()
    thread.join(10)
    assert found and found[0].problem == NOT_SAVED and found[0].of("a").state == "to do"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(AT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PARTS = st.dictionaries(st.sampled_from([*GOOD, "superseded", "state", "other"]), JSON, max_size=4)


@settings(max_examples=60, deadline=None)
@given(JSON | PARTS | st.just(GOOD), st.sampled_from([b"", b"\0", b"}", b"NaN", b'"']), st.floats(0, 1))
def test_any_file_content_is_read_and_can_be_saved_over(tmp_path_factory, value, insert, where):
    path = tmp_path_factory.mktemp("r") / "list.csv.reactkd.json"
    data = file_with(a=json.dumps(value), good=case())
    at = int(where * len(data))
    path.write_bytes(data[:at] + insert + data[at:])
    review = Review(path)
    known = dict(review.cases)
    assert review.update("new", reader={"grade": "poor"}) or "newer version" in review.problem
    if review.problem == "":
        on_disk(path)
        again = Review(path)
        assert again.of("new").reader_grade == "poor"
        assert all(again.of(name) == record for name, record in known.items() if name != "new")
    if insert == b"":
        assert review.of("good").reader == GOOD["reader"]
