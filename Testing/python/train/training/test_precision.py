"""bfloat16 is used only inside encoders, on CUDA."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from REACTKDTrainLib.training.device import autocast, encode_in_bfloat16


class Told(nn.Module):
    """Records the precision in which it computes."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.dtypes: list[torch.dtype] = []

    def forward(self, x):
        out = self.linear(x)
        self.dtypes.append(out.dtype)
        return out


@pytest.mark.parametrize("wanted", [False, True])
def test_on_the_cpu_everything_is_float32(wanted: bool) -> None:
    module = Told()
    encode_in_bfloat16([module], "cpu", wanted)
    assert module(torch.ones(2, 4)).dtype == torch.float32
    assert module.dtypes == [torch.float32]
    with autocast("cpu", wanted):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_the_encoder_computes_in_bfloat16_and_gives_float32() -> None:
    module = Told().cuda()
    encode_in_bfloat16([module], "cuda", True)
    out = module(torch.ones(2, 4, device="cuda"))
    assert module.dtypes == [torch.bfloat16] and out.dtype == torch.float32
    outside = nn.functional.linear(out, module.linear.weight)
    assert outside.dtype == torch.float32


def test_a_module_in_bfloat16_keeps_its_parameters_names_and_gradients() -> None:
    module = Told()
    names = list(module.state_dict())
    encode_in_bfloat16([module], "cpu", True)
    module(torch.ones(1, 4)).sum().backward()
    assert list(module.state_dict()) == names
    assert module.linear.weight.grad is not None and module.linear.weight.dtype == torch.float32
