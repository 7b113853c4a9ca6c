"""A content-addressed store: results are found by all they depend on, recomputed if damaged, never read altered."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDTrainLib.content_store import ContentStore, content_key

VALUES = {"a": np.arange(200.0), "b": np.arange(50)}


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=4), st.text())
@settings(max_examples=50, deadline=None)
def test_a_key_is_of_the_whole_recipe_in_any_order(recipe: dict, more: str) -> None:
    key = content_key(recipe)
    assert key == content_key(dict(reversed(recipe.items()))) and len(key) == 64
    assert key != content_key({**recipe, "another": more})
    assert content_key(f"{more}\ud800") != content_key(more)  # a lone surrogate, as file names may contain


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_a_result_is_computed_once_and_then_read(suffix: str, tmp_path: Path) -> None:
    store, made = ContentStore(tmp_path, suffix), []
    key = content_key({"patient": "Doe^Jane", "format": 1})

    def make() -> dict:
        made.append(1)
        return {"x": np.arange(3) if suffix == ".npz" else torch.arange(3)}

    for _ in range(2):
        assert store.made(key, make)["x"].tolist() == [0, 1, 2]
    assert made == [1] and store.has(key) and not store.has(content_key("another"))
    assert [path.name for path in tmp_path.iterdir()] == [f"{key[:40]}{suffix}"]
    assert ContentStore(tmp_path / "absent", suffix).get(key) is None


def test_a_damaged_result_or_one_of_another_form_is_recomputed(tmp_path: Path) -> None:
    store, key = ContentStore(tmp_path), content_key("x")
    store.put(key, VALUES)
    for content in (b"", b"PK\x03\x04 broken", store.path(key).read_bytes()[:500]):
        store.path(key).write_bytes(content)
        assert not store.has(key) and store.get(key) is None
        assert np.array_equal(store.made(key, lambda: VALUES)["a"], VALUES["a"])
    assert store.get(key, lambda found: found["not there"]) is None
    assert store.made(key, lambda: {"c": np.ones(1)}, lambda found: found["c"].tolist()) == [1]


def test_no_flipped_bit_is_read_as_another_number(tmp_path: Path) -> None:
    store, key = ContentStore(tmp_path), content_key("x")
    store.put(key, VALUES)
    content, draw, absent = store.path(key).read_bytes(), random.Random(1), 0
    for _ in range(200):
        data = bytearray(content)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        store.path(key).write_bytes(bytes(data))
        found = store.get(key, lambda arrays: {name: arrays[name] for name in VALUES})
        absent += found is None
        assert found is None or all(np.array_equal(found[name], VALUES[name]) for name in VALUES)
    assert absent > 150
