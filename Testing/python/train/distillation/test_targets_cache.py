"""Teacher outputs are cached by content and never reused for other weights or another view."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.view_maker import ViewMaker
from REACTKDTrainLib.distillation.targets_cache import TargetCache, weights_hash
from REACTKDTrainLib.models.outputs import GraphOutput
from support.tiny_phantoms import fold_data, tiny_cases


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fold_data(tmp_path_factory.mktemp("data"), tiny_cases(2))


def targets() -> GraphOutput:
    return GraphOutput(
        torch.randn(1, 3),
        [torch.randn(3, 8)],
        (),
        torch.randn(1, 12),
        {"dose": torch.randn(1, 3)},
        {"dose": [torch.randn(3, 8)], "structure_function": [None]},
    )


def test_cached_outputs_are_read_back_in_this_process_and_another(data, tmp_path: Path) -> None:
    result, view, made = targets(), data.view(0), []
    cache = TargetCache(tmp_path)
    for reader in (cache, cache, TargetCache(tmp_path)):
        found = reader.of("t", view, lambda: made.append(1) or result)
        assert torch.equal(found.logits, result.logits) and torch.equal(found.nodes[0], result.nodes[0])
        assert found.branch_nodes["structure_function"] == [None]
    assert made == [1]


def test_another_weight_or_view_finds_nothing(data, tmp_path: Path) -> None:
    cache = TargetCache(tmp_path)
    window = ViewMaker(LiverWindow(90.0))(data.store.get(data.cases[0]))
    asked = [("t", data.view(0)), ("t2", data.view(0)), ("t", data.view(1)), ("t", window)]
    found = [cache.of(*key, targets) for key in asked]
    assert len({float(one.logits[0, 0]) for one in found}) == len(list(tmp_path.iterdir())) == len(asked)


def test_a_broken_file_counts_as_absent(data, tmp_path: Path) -> None:
    first = TargetCache(tmp_path).of("t", data.view(0), targets)
    TargetCache(tmp_path).path("t", data.view(0)).write_bytes(b"broken")
    assert not torch.equal(TargetCache(tmp_path).of("t", data.view(0), targets).logits, first.logits)


def test_the_hash_of_weights_covers_every_value_name_and_buffer() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    first = weights_hash(module)
    assert weights_hash(module) == first
    module[1].running_mean += 1e-7
    second = weights_hash(module)
    with torch.no_grad():
        module[0].weight[0, 0] += 1e-7
    assert len({first, second, weights_hash(module)}) == 3
