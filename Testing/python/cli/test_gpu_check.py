"""`make gpu-check`: it reports a missing GPU, and its steps run on the CPU alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "gpu" / "check.py"


def check(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_the_check_prints_no_gpu():
    done = check()
    assert (done.returncode, done.stdout) == (0, "no GPU\n"), done.stderr


@pytest.mark.slow
def test_its_steps_run_on_the_cpu():
    done = check("--device", "cpu")
    assert done.returncode == 0 and done.stdout.rstrip().endswith("all good"), done.stdout + done.stderr
    for name in ("grading", "low dose", "bfloat16", "training by torchrun", "gradients and losses", "resumed training"):
        assert f"\n{name}" in done.stdout, name
