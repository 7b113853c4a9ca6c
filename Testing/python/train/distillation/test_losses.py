"""Losses against hand-worked values, and modality dropout against its rates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from REACTKDTrainLib.distillation.losses import focal_loss, masked_mse, random_presence


def test_the_focal_loss_agrees_with_hand_worked_values():
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]]))
    grade = torch.tensor([0, 2])
    wanted = np.mean([-(0.3**2) * np.log(0.7), -(0.6**2) * np.log(0.4)])
    assert np.isclose(float(focal_loss(logits, grade)), wanted)
    weighted = np.mean([-1.5 * 0.3**2 * np.log(0.7), -2.0 * 0.6**2 * np.log(0.4)])
    assert np.isclose(float(focal_loss(logits, grade, class_weights=torch.tensor([1.5, 1.0, 2.0]))), weighted)


def test_gamma_zero_is_cross_entropy_and_gradients_are_right():
    torch.manual_seed(0)
    logits = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    grade = torch.tensor([0, 1, 2, 0, 1, 2])
    assert torch.allclose(focal_loss(logits, grade, gamma=0.0), F.cross_entropy(logits, grade))
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, grade), logits)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 0.9, 1.0, 2.0])
@pytest.mark.parametrize("surplus", [0.5, 10.0, 17.0, 30.0, 200.0])
def test_a_certain_prediction_has_a_finite_gradient_for_every_gamma(gamma: float, surplus: float) -> None:
    """Analytically, q = 1 - p: dL/dz of the true class is q^g (g p ln p - q), also finite where p rounds to 1."""
    logits = torch.tensor([[surplus, 0.0, 0.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0]), gamma).backward()
    q = 2 * np.exp(-surplus) / (1 + 2 * np.exp(-surplus))
    wanted = q**gamma * (gamma * (1 - q) * np.log1p(-q) - q)
    assert logits.grad.isfinite().all()
    assert float(logits.grad[0, 0]) == pytest.approx(wanted, rel=1e-3 if surplus < 5 else 0.3, abs=3e-7)


def test_the_masked_error_counts_only_unmasked_values():
    predicted, target = torch.zeros(2, 3), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    mask = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert float(masked_mse(predicted, target, mask)) == pytest.approx((1 + 9) / 2)
    assert float(masked_mse(predicted, target, torch.zeros(2, 3))) == 0


def test_modality_dropout_rates():
    draw = torch.Generator().manual_seed(0)
    present = random_presence(40_000, ("a", "b", "c"), 0.3, draw)
    table = torch.stack(list(present.values()))
    assert (table.sum(dim=0) > 0).all()
    share = 0.7 / (1 - 0.3**3)  # given that not all are absent
    assert torch.allclose(table.mean(dim=1), torch.full((3,), share), atol=0.01)
    assert (torch.stack(list(random_presence(50, ("a", "b"), 0.0, draw).values())) == 1).all()
