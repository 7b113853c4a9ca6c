"""A damaged cache entry of any kind is recomputed with the same values; altered data is never read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from REACTKDLib.core.writing.kept_files import is_whole
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.dose_data import prepare_fields
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.data.view_maker import ViewMaker
from REACTKDTrainLib.distillation.targets_cache import TargetCache
from REACTKDTrainLib.nodes.node_store import NodeStore


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """Flip bits in the middle of the data, where only a checksum detects it."""
    data = bytearray(content)
    for place in (len(data) // 3, len(data) // 2, 2 * len(data) // 3):
        data[place] ^= 64
    return bytes(data)


DAMAGES = {"cut": cut, "empty": lambda _: b"", "foreign": lambda _: b"PK\x03\x04 broken", "flipped": flipped}


@pytest.fixture(scope="module")
def case():
    return phantom_case("hospital", 7, "tiny")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> PreparedStore:
    return PreparedStore(tmp_path_factory.mktemp("prepared"), preparation_of("tiny"), variants=1)


def damage(path: Path, how: Callable[[bytes], bytes]) -> bytes:
    before = path.read_bytes()
    path.write_bytes(how(before))
    return before


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_prepared_case_is_recomputed(store, case, how) -> None:
    first = store.get(case)
    damage(store.path(case), how)
    again = store.get(case)
    assert all(torch.equal(first.images[m], again.images[m]) for m in first.images)
    assert torch.equal(first.masks[1].occupancy, again.masks[1].occupancy) and is_whole(store.path(case))
    damage(store.path(case), how)
    store.prepare([case])
    assert is_whole(store.path(case))


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_damaged_node_vectors_are_recomputed(case, how, tmp_path) -> None:
    nodes = NodeStore.without_encoder(tmp_path, "tiny", variants=0)
    first = nodes.get(case).regions[0].fixed
    damage(nodes.path(case), how)
    again = nodes.get(case).regions[0].fixed
    assert all(torch.equal(first[m], again[m]) for m in first) and is_whole(nodes.path(case))


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_damaged_views_are_recomputed(store, case, how, tmp_path) -> None:
    maker, prepared = ViewMaker(LiverWindow(), folder=tmp_path), store.get(case)
    first = maker(prepared, 1)
    files = list(tmp_path.rglob("*.npz"))
    assert {p.relative_to(tmp_path).parts[0] for p in files} == {"warped", "fixed"}
    for path in files:
        damage(path, how)
    again = maker(prepared, 1)
    for a, b in ((first.images, again.images), (first.fixed, again.fixed)):
        assert all(torch.equal(a[m], b[m]) for m in a)
    assert all(is_whole(path) for path in files)


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_damaged_teacher_outputs_count_as_absent(store, case, how, tmp_path) -> None:
    from REACTKDTrainLib.models.outputs import GraphOutput

    view, made = ViewMaker(LiverWindow())(store.get(case)), []

    def make() -> GraphOutput:
        made.append(1)
        return GraphOutput(torch.randn(1, 3), [torch.randn(3, 800)], (), torch.randn(1, 1200))

    TargetCache(tmp_path).of("t", view, make)
    damage(TargetCache(tmp_path).path("t", view), how)
    TargetCache(tmp_path).of("t", view, make)
    assert made == [1, 1]


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_damaged_dose_fields_are_recomputed(store, how, tmp_path) -> None:
    whole = phantom_case("hospital", 7, "tiny", whole_field=True)
    prepare_fields(tmp_path, store, whole)
    (path,) = tmp_path.iterdir()
    with np.load(path) as first:
        before = {name: first[name] for name in ("quantum", "electronic")}
    damage(path, how)
    prepare_fields(tmp_path, store, whole)
    with np.load(path) as again:
        assert all(np.array_equal(again[name], before[name]) for name in before)
