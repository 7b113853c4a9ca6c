"""Memory use at full size, in a separate process: 450 MB above the loaded data at the peak, 250 MB afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]

SCRIPT = """
from pathlib import Path
import numpy as np, psutil, torch, scipy.sparse
from REACTKDTrainLib.low_dose.simulator import LowDoseCT
from support.ct_objects import body

torch.set_num_threads(1)
hu = body(512, 0.75, 16).astype(np.int16)
torch.fft.rfft(torch.zeros(8, 64))
process = psutil.Process()
before = process.memory_info().rss
simulator = LowDoseCT()
for seed in range(2):
    out = simulator(hu, 0.75, 3.0, 0.1, seed=seed)
after = process.memory_info().rss
# not ru_maxrss, which counts the process that started this one: it survives fork and exec
peak = 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
print((peak - before) / 1e6, (after - before) / 1e6)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read in Linux's units")
def test_memory_is_bounded():
    paths = os.pathsep.join(str(REPOSITORY / part) for part in ("REACTKD", "REACTKDTrain", "Testing"))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    peak, steady = (float(value) for value in done.stdout.split())
    assert peak < 450 and steady < 250, f"peak +{peak:.0f} MB, steady +{steady:.0f} MB"
