"""Training on node tables: it learns what is there, ignores what is absent, and repeats bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from REACTKDLib.core.phantom.latents import DENSITIES
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.pooling import BLOCK_SIZES
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.release.extract import FIXED_SIZE, MAX_NODES
from REACTKDTrainLib.release.heads import HeadRecipe, drop_nodes, fit_scales, latent_visibility, predict, train_head
from REACTKDTrainLib.release.rungs import bayes_limit, hand_features, hand_logistic
from REACTKDTrainLib.release.tables import MODALITIES, Table


def table(n=400, seed=0) -> Table:
    """Cases whose grade shows in the main lesion's FDG mean, and a little in its CT mean."""
    draw = torch.Generator().manual_seed(seed)
    grade = torch.randint(3, (n,), generator=draw)
    fixed = {m: 0.3 * torch.randn(n, MAX_NODES, FIXED_SIZE, generator=draw) for m in MODALITIES}
    fixed["fdg"][:, 1, 0] += grade.float()
    fixed["ct"][:, 1, 0] += 0.3 * grade.float()
    latents = torch.randn(n, 1 + len(DENSITIES), generator=draw)
    latents[:, 0] = torch.randint(1, 4, (n,), generator=draw)
    present = torch.arange(MAX_NODES)[None] < (1 + latents[:, :1])
    return Table(fixed, present, torch.randn(n, 7, generator=draw), grade, latents, np.arange(n))


def trained(data: Table, seed=0) -> Student:
    torch.manual_seed(seed)
    student = Student(StudentConfig(blocks=("input",), hidden=16))
    fit_scales(student, data)
    return train_head(student, data, HeadRecipe(steps=400, batch=64, seed=seed))


def test_learns_from_what_is_present_and_repeats():
    train, test = table(), table(300, seed=1)
    student = trained(train)
    scores = {s: predict(student, test, s).numpy() for s in (("ct",), ("fdg",), MODALITIES)}
    auc = {s: macro_auc(test.grade.numpy(), v) for s, v in scores.items()}
    assert auc[MODALITIES] > 0.8 and auc[("fdg",)] > 0.8
    assert 0.5 < auc[("ct",)] < auc[("fdg",)] - 0.1
    again = trained(train)
    assert torch.equal(predict(again, test, MODALITIES), predict(student, test, MODALITIES))


def test_absent_modality_does_not_reach_the_answer():
    data = table(50)
    student = Student(StudentConfig(blocks=("input", "bands"))).eval()
    before = predict(student, data, ("ct",))
    data.fixed["fdg"].fill_(99.0)
    assert torch.equal(before, predict(student, data, ("ct",)))
    assert not torch.equal(before, predict(student, data, ("ct", "fdg")))


def test_largest_lesion_is_never_dropped():
    draw = torch.Generator().manual_seed(0)
    kept = drop_nodes(torch.ones(500, 7, dtype=torch.bool), 0.5, draw)
    assert kept[:, :2].all() and 0.4 < kept[:, 2:].float().mean() < 0.6


def test_visibility_follows_the_specification():
    seen = latent_visibility({"ct": torch.tensor([1.0]), "fdg": torch.tensor([0.0]), "acetate": torch.tensor([0.0])})
    names = dict(zip(("lesions", *DENSITIES), seen[0].tolist(), strict=True))
    assert names["contrast_hu"] == names["ln_diameter_mm"] == 1
    assert names["ln_fdg_ratio"] == names["ln_acetate_ratio"] == names["lesions"] == 0


def test_blocks_pick_their_columns():
    data = table(5)
    picked = data.fixed_blocks(("bands",))["ct"]
    start = BLOCK_SIZES["input"]
    assert torch.equal(picked, data.fixed["ct"][..., start : start + BLOCK_SIZES["bands"]])
    assert data.fixed_blocks(("input", "bands", "shells"))["ct"].shape == data.fixed["ct"].shape


def test_limit_and_hand_features():
    train, test = table(), table(100, seed=2)
    limit = bayes_limit(test, ("ct",))
    assert np.allclose(limit.sum(axis=1), 1)
    assert hand_features(test, ("ct",)).shape[0] == 100
    p = hand_logistic(train, test, ("fdg",))
    assert macro_auc(test.grade.numpy(), p) > 0.8


@pytest.mark.slow
def test_prepared_patient_through_every_step(tmp_path):
    """One real patient: prepared, extracted, cropped, encoded, all agreeing with the student's own pooling."""
    from REACTKDTrainLib.release.encode import encode_case
    from REACTKDTrainLib.release.extract import CROP, POOL, crop_of, fixed_of, load_prepared
    from REACTKDTrainLib.release.prepared import prepare_cohort, prepared_file

    prepare_cohort(tmp_path, range(3, 4))
    path = prepared_file(tmp_path, 3)
    case = load_prepared(path)
    student = Student(StudentConfig()).eval()
    pad = [p for n in reversed(case.images.shape[1:]) for p in (0, -n % 4)]
    images = torch.nn.functional.pad(case.images[None], pad, mode="replicate")[0]
    with torch.inference_mode():
        features = student.encode({m: images[i][None, None] for i, m in enumerate(MODALITIES)})
        occupancy = torch.nn.functional.pad(case.masks.occupancy, pad)
        nodes = student.pool(features, type(case.masks)(occupancy, torch.nn.functional.pad(case.masks.shells, pad)))
    whole = encode_case(student, path)
    n = len(case.masks.occupancy)
    assert torch.allclose(whole[-1][:n], nodes.fused, atol=2e-3)
    assert np.allclose(fixed_of(case)[0, 1, :2], nodes.fixed["ct"][1, :2], atol=1e-3)
    images, masks = crop_of(case, 0)
    assert images.shape == (3, CROP, CROP, CROP) and masks.shape == (2, POOL, POOL, POOL)
    assert masks[1][POOL // 2, POOL // 2, POOL // 2] > 0
