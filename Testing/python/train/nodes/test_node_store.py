"""Node vectors on disk equal those computed from whole volumes."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from REACTKDLib.core.modality import subsets_of
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import FeatureMaps, Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDLib.core.student.pooling import fused_nodes
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.fixed_nodes import columns_of
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.data.view_maker import ViewMaker
from REACTKDTrainLib.models.student_graph import student_forward
from REACTKDTrainLib.nodes.node_store import NodeStore, encoder_hash, subset_moments


@pytest.fixture(scope="module")
def student():
    torch.manual_seed(0)
    return Student(StudentConfig()).eval()


@pytest.fixture
def stores(tmp_path, student):
    prepared = PreparedStore(tmp_path / "prepared", preparation_of("tiny"), variants=2)
    return prepared, NodeStore(tmp_path / "nodes", prepared, LiverWindow(), student, "of the test")


def test_nodes_are_those_of_views_with_voxels(stores):
    prepared, nodes = stores
    case = phantom_case("large", 3, "tiny")
    kept = nodes.get(case)
    make = ViewMaker(LiverWindow())
    assert len(kept.regions) == 3
    for variant in range(3):
        whole, expert, own = make(prepared.get(case), 0, variant), kept.regions[0], kept.regions[variant]
        assert kept.grade == whole.grade and kept.patient == whole.patient
        for name in whole.fixed:
            assert torch.equal(own.fixed[name], whole.fixed[name])
            assert torch.equal(expert.fixed[name], whole.fixed_expert[name])
        assert torch.equal(own.masks.topology, whole.masks.topology)
        assert torch.equal(own.masks.matches, whole.masks.matches)
        assert torch.equal(expert.masks.volumes_ml, whole.expert.volumes_ml)


def test_heads_answer_from_nodes_as_from_voxels(stores, student):
    prepared, nodes = stores
    case = phantom_case("large", 5, "tiny")
    view = ViewMaker(LiverWindow())(prepared.get(case), 0, 1)
    regions = nodes.get(case).regions[1]
    for subset in subsets_of(student.config.modalities):
        presence = {m: torch.tensor([float(m in subset)]) for m in student.config.modalities}
        with torch.no_grad():
            want = student_forward(student, [view], presence).logits[0]
            fixed = {m: regions.fixed[m][:, columns_of(student.config.blocks)] for m in subset}
            batch = NodeBatch(regions.masks.topology, fixed, regions.fused["+".join(subset)])
            got = student.forward_nodes(batch).logits
        assert torch.allclose(got, want, atol=1e-4), subset


def test_a_subsets_moments_are_those_of_its_summed_maps(student):
    torch.manual_seed(1)
    shapes = ((8, 12, 16), (4, 6, 8), (2, 3, 4))
    levels = {
        m: [torch.randn(w, *shape) for w, shape in zip(student.config.widths, shapes, strict=True)]
        for m in ("ct", "fdg", "acetate")
    }
    occupancy = torch.rand(3, *shapes[0])
    moments = subset_moments(levels, occupancy)
    assert len(moments) == 7
    for subset in subsets_of(tuple(levels)):
        fused = student.fuse(FeatureMaps({}, {}, {m: levels[m] for m in subset}))
        want = fused_nodes(fused, occupancy, True)
        assert torch.allclose(moments["+".join(subset)], want, atol=1e-4)


def test_another_window_encoder_or_set_of_masks_is_another_entry(stores):
    _, nodes = stores
    case = phantom_case("large", 3, "tiny")
    others = (
        replace(nodes, window=LiverWindow(100.0)),
        replace(nodes, encoder_key="another"),
        replace(nodes, encoded=1),
        replace(nodes, prepared=replace(nodes.prepared, seed=1)),
    )
    assert len({store.path(case) for store in (nodes, *others)}) == 5


def test_another_head_on_the_same_encoder_uses_the_stored_nodes(student):
    other = copy.deepcopy(student)
    with torch.no_grad():
        other.head.bias += 1
    assert encoder_hash(other) == encoder_hash(student)
    with torch.no_grad():
        next(p for n, p in other.named_parameters() if n.startswith("encoders.")).mul_(1.001)
    assert encoder_hash(other) != encoder_hash(student)


def test_a_case_that_cannot_be_prepared_leaves_nothing(stores):
    _, nodes = stores
    case = replace(phantom_case("large", 3, "tiny"), load=lambda: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        nodes.get(case)
    assert not nodes.folder.exists() or not list(nodes.folder.iterdir())
