"""The student: bands, crops against whole volumes, additive head, deletion, missing modalities, the paper's variant."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from REACTKDLib.core.student.bands import SIGMAS, gaussian_bands, smooth
from REACTKDLib.core.student.cbam import CBAM3D
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.head import AttentionHead
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.pooling import (
    LAGS,
    NodeMasks,
    moments,
    shell_profile,
    variogram,
    weighted_quantiles,
)

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def student():
    torch.manual_seed(0)
    return awake(Student(StudentConfig())).eval()


def awake(model: Student) -> Student:
    """Give the zero-initialized convolutions of the residual blocks random weights, so that they have an effect."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "convs.1" in name:
                p.normal_(std=0.05)
    return model


@pytest.mark.parametrize("sigma", SIGMAS)
def test_smoothing_is_the_gaussian_filter(sigma):
    x = torch.randn(14, 15, 16)
    wanted = gaussian_filter(x.numpy(), sigma, mode="nearest", radius=int(3 * sigma + 0.999))
    assert np.allclose(smooth(x, sigma).numpy(), wanted, atol=1e-5)


def test_bands_add_up_to_the_input():
    x = torch.randn(2, 1, 12, 13, 14)
    assert torch.allclose(gaussian_bands(x).sum(dim=1, keepdim=True), x, atol=1e-5)


def test_features_of_a_crop_equal_those_of_the_whole_volume(student):
    """Holds at every level where the crop covers the receptive field, so no layer pools over the whole input."""
    torch.manual_seed(1)
    whole = torch.randn(1, 1, 104, 104, 104)
    low, size = 8, 88  # multiples of four keep the strided grids aligned
    cut = slice(low, low + size)
    with torch.inference_mode():
        a = student.encode({"ct": whole}).levels["ct"]
        b = student.encode({"ct": whole[..., cut, cut, cut]}).levels["ct"]
    stem, half, quarter = 9 + 1, 1 + 2 * 2, 2 + 4 * 2  # reach in voxels: bands and stem; then a stride and a block each
    for n, reach in enumerate((stem, stem + half, stem + half + quarter)):
        step = 2**n
        near = slice(low // step, (low + size) // step)
        edge = -(-reach // step)
        inner = slice(edge, size // step - edge)
        difference = (a[n][:, near, near, near] - b[n]).abs()
        assert difference[:, inner, inner, inner].max() < 1e-4 * a[n].abs().max(), f"level {n}"
        assert difference.max() > 1e-3  # beyond that margin the border matters, so the test can fail


def test_maps_of_a_box_are_those_of_the_whole(student):
    """If the input exceeds the receptive field of the convolutions, only a part is computed."""
    torch.manual_seed(2)
    image, box = torch.randn(1, 1, 72, 64, 52), (slice(28, 40), slice(0, 24), slice(32, 52))
    with torch.no_grad():
        whole, part = student.encode({"ct": image}), student.encode({"ct": image}, box)
        gated = awake(Student(StudentConfig.paper(modalities=("ct",), filters=2))).encode({"ct": image}, box)
    assert part.box == box and gated.box is None, "CBAM and norms read the whole image"
    for n, (a, b) in enumerate(zip(whole.levels["ct"], part.levels["ct"], strict=True)):
        wanted = a[(slice(None), *(slice(side.start >> n, side.stop >> n) for side in box))]
        assert b.shape == wanted.shape and torch.allclose(b, wanted, atol=1e-5 * float(a.abs().max())), f"level {n}"


def test_moments_by_hand_and_of_large_offsets():
    maps = torch.tensor([[1.0, 2.0, 3.0, 10.0]]) + 1000
    mean, spread = moments(maps, torch.tensor([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.5, 0.5]]))
    assert torch.allclose(mean[:, 0], torch.tensor([1002.0, 1006.5]))
    assert torch.allclose(spread[:, 0], torch.tensor([np.sqrt(2 / 3), 3.5], dtype=torch.float32), atol=1e-3)


def test_variogram_of_noise_and_of_a_smooth_field():
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(24, 24, 24, generator=rng)
    ones = torch.ones_like(noise)
    assert torch.allclose(variogram(noise, ones), torch.full((len(LAGS),), np.log(2.0)), atol=0.05)
    fine, coarse = (smooth(noise, s) for s in (0.8, 2.5))
    rise = [float(variogram(f / f.std(), ones)[-1] - variogram(f / f.std(), ones)[0]) for f in (fine, coarse)]
    assert rise[1] > rise[0] + 1  # with coarser texture, neighboring voxels are more alike


def test_weighted_quantiles_by_hand():
    values = torch.arange(100.0)
    assert torch.allclose(
        weighted_quantiles(values, torch.ones(100)), torch.tensor([2.0, 7.0, 19.0, 49.0, 79.0, 91.0]), atol=1.01
    )
    assert (weighted_quantiles(values, (values > 89).float()) > 89).all()


def test_the_shell_profile_shows_a_ring():
    grid = torch.stack(torch.meshgrid(*[torch.arange(30.0) - 14.5] * 3, indexing="ij"))
    radius = grid.norm(dim=0)
    occupancy = (radius < 10).float()
    shells = torch.stack([(radius - r).abs() < 1 for r in (11, 9, 7, 5, 2)] + [(radius < 10) & (radius > 8.7)]).float()
    ring = (radius > 8).float() * occupancy
    profile = shell_profile(ring, ring, occupancy, shells)
    assert profile[1] > 0.4 > profile[2]
    assert abs(profile[4]) < 0.1  # shells are relative to the interior
    assert profile[6] > 0.2 and profile[7] == 0  # the rim raises the mean; nothing is necrotic
    assert torch.isfinite(profile).all()
    dead = ring - 3 * (radius < 5).float()
    other = shell_profile(dead, dead, occupancy, shells)
    assert torch.allclose(other[1], profile[1], atol=0.05)  # a necrosis does not change the rim's value
    assert abs(other[7] - 1 / 8) < 0.03  # half the radius is an eighth of the volume


def test_one_voxel_lesion_gives_finite_numbers(student):
    occupancy, shells = torch.zeros(2, 16, 16, 16), torch.zeros(1, 6, 16, 16, 16)
    occupancy[0, 4:12, 4:12, 4:12] = 1
    occupancy[1, 8, 8, 8] = 0.05
    shells[0, 1, 8, 8, 8] = shells[0, 5, 8, 8, 8] = 0.05
    features = student.encode({"ct": torch.randn(1, 1, 16, 16, 16)})
    decision = student.decide(student.pool(features, NodeMasks(occupancy, shells)), torch.zeros(7))
    assert torch.isfinite(decision.logits).all()


def random_nodes(m=5, hidden=12, seed=0):
    torch.manual_seed(seed)
    head = AttentionHead(hidden, 3).double()
    for p in head.parameters():
        torch.nn.init.normal_(p)
    return head, torch.randn(m, hidden, dtype=torch.float64)


def test_contributions_add_up_and_deletion_is_recomputation():
    head, h = random_nodes()
    decision = head(h)
    assert torch.allclose(decision.baseline + decision.contributions.sum(0), decision.logits)
    without = decision.votes().logits_without_each()
    for node in range(len(h)):
        again = head(torch.cat([h[:node], h[node + 1 :]]))
        assert np.allclose(without[node], again.logits.detach())


def test_padded_batch_equals_single_cases():
    head, h = random_nodes(6)
    present = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    logits = head(torch.stack([h, h]), present).logits
    assert torch.allclose(logits[0], head(h).logits)
    assert torch.allclose(logits[1], head(h[:4]).logits)


def test_absent_is_not_zero(student):
    torch.manual_seed(2)
    masks = NodeMasks(torch.rand(2, 16, 16, 16), torch.rand(1, 6, 16, 16, 16))
    ct, zero = torch.randn(1, 1, 16, 16, 16), torch.zeros(1, 1, 16, 16, 16)
    alone = student.encode({"ct": ct})
    both = student.encode({"ct": ct, "fdg": zero})
    answers = [student.decide(student.pool(f, masks), torch.zeros(7)).logits for f in (alone, both)]
    assert not torch.allclose(*answers, atol=1e-4)
    left = student.decide(student.pool(both.only(("ct",)), masks), torch.zeros(7)).logits
    assert torch.allclose(left, answers[0], atol=1e-6)


def test_each_tracer_has_its_own_first_convolution():
    own = Student(StudentConfig())
    shared = Student(StudentConfig(own_stem=False))
    assert set(own.encoders.stems) == {"ct", "fdg", "acetate"} == set(own.encoders.projections)
    assert set(shared.encoders.stems) == {"ct", "pet"}
    assert set(own.encoders.trunks) == {"ct", "pet"}


def test_cbam_agrees_with_hand_worked_values():
    gate = CBAM3D(8)
    for p in gate.parameters():
        torch.nn.init.zeros_(p)
    x = torch.randn(1, 8, 4, 4, 4)
    assert torch.allclose(gate(x), x / 4)  # both sigmoids are one half
    with pytest.raises(ValueError, match="kernel"):
        CBAM3D(8, kernel=4)


def test_cbam_gates_only_the_coarsest_map():
    torch.manual_seed(0)
    model = Student(StudentConfig(cbam=True)).eval()
    features = model.encode({"ct": torch.randn(1, 1, 16, 16, 16)})
    gated, plain = model.fuse(features), [features.levels["ct"][n] for n in range(3)]
    assert torch.equal(gated[0], plain[0]) and torch.equal(gated[1], plain[1])
    assert torch.allclose(gated[2], model.cbam(plain[2][None])[0]) and not torch.allclose(gated[2], plain[2])


def test_the_paper_variant_runs_and_is_small():
    torch.manual_seed(0)
    model = Student(StudentConfig.paper()).eval()
    assert model.cbam is not None and model.fixed_size == 0
    features = model.encode({"ct": torch.randn(1, 1, 16, 32, 32)})
    nodes = model.pool(features, NodeMasks(torch.rand(3, 16, 32, 32), torch.rand(2, 6, 16, 32, 32)))
    assert nodes.fused.shape == (3, 48)
    assert model.decide(nodes, torch.zeros(7)).logits.shape == (3,)


@pytest.mark.parametrize("config", [StudentConfig(), StudentConfig.paper(), StudentConfig(blocks=("input",))])
def test_every_student_has_under_two_and_a_half_million_parameters(config):
    assert sum(p.numel() for p in Student(config).parameters()) < 2_500_000
    assert StudentConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"classes": 0}, "classes"),
        ({"modalities": ()}, "modalities"),
        ({"modalities": ("ct", "ct")}, "modalities"),
        ({"blocks": ("inputs",)}, "blocks"),
        ({"widths": (8, 16)}, "widths"),
        ({"cbam_kernel": 4}, "cbam_kernel"),
        ({"cbam_ratio": 0}, "cbam_ratio"),
        ({"dropout": 1.0}, "dropout"),
        ({"norm": "batch"}, "norm"),
        ({"variant": "other"}, "variant"),
    ],
)
def test_wrong_settings_name_the_field(changes, word):
    with pytest.raises(ValueError, match=word):
        StudentConfig(**changes)


def test_unknown_setting_and_unknown_modality_are_refused(student):
    with pytest.raises(ValueError, match="colour"):
        StudentConfig.from_dict({"colour": 1})
    with pytest.raises(ValueError, match="subset"):
        student.encode({"mr": torch.zeros(1, 1, 8, 8, 8)})
