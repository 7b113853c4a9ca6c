#!/usr/bin/env python3
"""GPU acceptance check: the same results as on the CPU within stated tolerances, and run times.

    make gpu-check                          on a machine with an NVIDIA GPU, in under four minutes
    make gpu-check ARGS="--device cpu"      the same steps on the CPU alone, to see that the script itself works

Grading on both devices, the fallback to the CPU when memory runs out, the low-dose simulator, bfloat16 encoders, a
short training by torchrun with one process, averaging across processes, and resuming a training. Each check prints
a row; the exit status is 1 if one fails, 0 with "no GPU" where there is none.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = [str(REPOSITORY / part) for part in ("REACTKD", "REACTKDTrain", "Testing")]
sys.path[:0] = PARTS

import numpy as np  # noqa: E402
import torch  # noqa: E402

#: largest allowed difference between CUDA and CPU in a probability, and in the low-dose noise in HU
PROBABILITY_TOLERANCE, NOISE_TOLERANCE_HU = 1e-3, 0.02
#: largest allowed relative difference of a training loss with bfloat16 encoders
BF16_TOLERANCE = 0.05
ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """One line of the table. ok: None for a number without a limit."""

    name: str
    value: str
    limit: str = ""
    ok: bool | None = None


def wait_for(device: str) -> None:
    """Wait until the device has finished: CUDA calls are asynchronous, so only their launch would be timed."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(device: str, work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median wall time of `work` in s, after one warm-up run."""
    times = []
    for n in range(rounds + 1):
        started = time.perf_counter()
        work()
        wait_for(device)
        if n:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def grading(device: str) -> Iterator[Row]:
    """Grade one full-size phantom with the shipped student: results on both devices, and times."""
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.masks.checks import checked
    from REACTKDLib.core.phantom import acquire, draw_patient
    from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder

    case = checked(acquire(draw_patient(3, "poor", biology="independent")).case)
    bundle = Bundle.load(shipped_bundle_folder())
    sessions = {name: Grader(bundle, name).open(case) for name in ("cpu", device)}
    reports = {name: session.grade().report for name, session in sessions.items()}
    there, here = reports[device], reports["cpu"]
    difference = max(abs(there.probabilities[g] - here.probabilities[g]) for g in here.probabilities)
    yield Row("grading: computed on", there.device, device, there.device.startswith(device))
    yield Row("grading: grade", f"{there.grade} / {here.grade}", "the same", there.grade == here.grade)
    limit = f"<= {PROBABILITY_TOLERANCE:g}"
    yield Row("grading: probability differs by", f"{difference:.1e}", limit, difference <= PROBABILITY_TOLERANCE)
    again = Grader(bundle, device).open(case).grade().report.probabilities
    yield Row("grading: repeated", "equal" if again == there.probabilities else "differs", "equal to the bit",
              again == there.probabilities)  # fmt: skip
    for name in sessions:
        opened = seconds(name, lambda name=name: Grader(bundle, name).open(case), 3)
        edited = seconds(name, lambda name=name: sessions[name].grade(tumor=case.tumor))
        yield Row(f"grading on {name}: prepare and encode", f"{1000 * opened:.0f} ms")
        yield Row(f"grading on {name}: again after an edit", f"{1000 * edited:.0f} ms")


def out_of_memory(device: str) -> Iterator[Row]:
    """Exhausted GPU memory: the CPU computes the result, and a finding reports it."""
    if device != "cuda":
        yield Row("out of memory", "needs a GPU")
        return
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
    from support.small_cases import small_case

    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        report = Grader(Bundle.load(shipped_bundle_folder()), "cuda").open(small_case()).grade().report
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    codes = {finding.code for finding in report.findings}
    good = report.device == "cpu" and "device-fallback" in codes
    yield Row("out of memory", f"graded on {report.device}", "cpu, with device-fallback", good)


def low_dose(device: str) -> Iterator[Row]:
    """Low-dose noise on both devices for the same seed, and the time for eight full-size slices."""
    from REACTKDTrainLib.low_dose.simulator import LowDoseCT

    rows, columns = np.mgrid[-1:1:128j, -1:1:128j]
    water = np.where(rows**2 + columns**2 < 0.6, 40.0, -1000.0).astype(np.float32)
    small = np.stack([water] * 4)
    place = {"spacing_mm": 2.5, "thickness_mm": 2.5, "dose": 0.1, "seed": 5}
    noise = {name: LowDoseCT(size=128, views=180, device=name)(small, **place) for name in ("cpu", device)}
    difference = float(np.abs(noise["cpu"] - noise[device]).max())
    limit = f"<= {NOISE_TOLERANCE_HU:g} HU"
    yield Row("low dose: noise differs by", f"{difference:.4f} HU", limit, difference <= NOISE_TOLERANCE_HU)
    full = np.stack([np.kron(water, np.ones((4, 4), np.float32))] * 8)
    simulator = LowDoseCT(size=512, device=device)
    took = seconds(device, lambda: simulator(full, spacing_mm=0.7, thickness_mm=2.5, dose=0.1), 2)
    yield Row(f"low dose on {device}: 8 slices of 512 x 512", f"{took:.2f} s")


def bfloat16(device: str) -> Iterator[Row]:
    """A student's encoders in bfloat16 compared with float32: the loss, and the time of forward and backward passes."""
    from REACTKDLib.core.student.config import StudentConfig
    from REACTKDLib.core.student.network import Student
    from REACTKDTrainLib.training.device import encode_in_bfloat16

    shape = (32, 64, 64) if device == "cpu" else (96, 96, 128)
    draw = torch.Generator().manual_seed(0)
    images = {name: torch.randn((1, 1, *shape), generator=draw).to(device) for name in ("ct", "fdg")}
    losses, times = {}, {}
    for wanted in (False, True):
        torch.manual_seed(0)
        student = Student(StudentConfig()).to(device).train()
        encode_in_bfloat16([student.encoders], device, wanted)

        def step(student: Student = student) -> float:
            student.zero_grad(set_to_none=True)
            levels = student.encode(images).levels
            loss = sum(level.square().mean() for maps in levels.values() for level in maps)
            loss.backward()
            return float(loss.detach())

        losses[wanted], times[wanted] = step(), seconds(device, step, 3)
    apart = abs(losses[True] - losses[False]) / abs(losses[False])
    limit = f"<= {BF16_TOLERANCE:g}"
    yield Row("bfloat16: loss differs by (relative)", f"{apart:.1e}", limit, apart <= BF16_TOLERANCE)
    yield Row("encoder step, float32", f"{1000 * times[False]:.0f} ms")
    yield Row("encoder step, bfloat16", f"{1000 * times[True]:.0f} ms")


def training(device: str) -> Iterator[Row]:
    """A short training by torchrun with one process: both stages up to a bundle."""
    from support.small_training import COHORT, TRAIN_SCRIPT, write_config

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1"]
        command += [str(TRAIN_SCRIPT), "--cohort", COHORT, "--output", f"{folder}/run", "--folds", "2", "--fold", "0"]
        command += ["--config", str(write_config(Path(folder))), "--device", device]
        beside = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PARTS + beside), "OMP_NUM_THREADS": "1"}
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=150, check=False)
        took = time.perf_counter() - started
        bundle = (Path(folder) / "run" / "bundle").is_dir()
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    good = done.returncode == 0 and bundle
    yield Row("training by torchrun, 16 tiny cases", f"{took:.0f} s", "a bundle", good)


def averages(device: str) -> Iterator[Row]:
    """The averaging of each training step in a process group of one: tensors on the device and on the CPU."""
    import torch.distributed as dist

    from REACTKDTrainLib.training.processes import backends_for

    backends = backends_for(device)
    dist.init_process_group(backends, store=dist.HashStore(), rank=0, world_size=1)
    try:
        tensors = [torch.ones(2, device=place) for place in (device, "cpu")]
        for tensor in tensors:
            dist.all_reduce(tensor)
        dist.barrier()
    finally:
        dist.destroy_process_group()
    good = all(tensor.tolist() == [1.0, 1.0] for tensor in tensors)
    yield Row("gradients and losses of several processes", backends, "averaged", good)


def resumed(device: str) -> Iterator[Row]:
    """A training killed at its third step and resumed ends with the same weights as an uninterrupted one."""
    from support.line_stage import Killed, Line, trainer, weights

    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        undisturbed = trainer(whole, Line(device=device))
        undisturbed.run()
        with contextlib.suppress(Killed):
            trainer(cut, Line(device=device), kill_at=3).run()
        again = trainer(cut, Line(device=device))
        again.run()
    pairs = zip(weights(undisturbed).values(), weights(again).values(), strict=True)
    apart = max(float((a - b).abs().max()) for a, b in pairs)
    yield Row("resumed training: weights differ by", f"{apart:.1e}", "0", apart == 0)


CHECKS = (grading, out_of_memory, low_dose, bfloat16, training, averages, resumed)


def main() -> int:
    """Run every check and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    device = parser.parse_args().device
    if device == "cuda" and not torch.cuda.is_available():
        print("no GPU")
        return 0
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda or '-'}\n")
    failed = 0
    for check in CHECKS:
        try:
            rows = list(check(device))
        except Exception as error:  # noqa: BLE001 - the other checks are still worth their time
            rows = [Row(check.__name__, f"{type(error).__name__}: {error}"[:60], "no fault", False)]
        for row in rows:
            failed += row.ok is False
            verdict = {None: "", True: "ok", False: "FAILED"}[row.ok]
            print(f"{row.name:44s} {row.value:>24s}  {row.limit:26s} {verdict}".rstrip(), flush=True)
    print(f"\n{failed} failed" if failed else "\nall good")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
