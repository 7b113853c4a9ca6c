#!/usr/bin/env python3
"""Time of a training step of our student, compared with a reimplementation of the published recipe.

    python Testing/benchmarks/train_step.py [--rounds 6] [--threads 1]

Both train on the same 8 cases of 32 x 96 x 96 voxels with CT and two PETs. Ours: encoders, pooling over the regions,
focal loss, temperature KL and region graphs with Gromov-Wasserstein, teacher targets from the cache. The published
recipe (Kinetics-JOJO/REACT-KD, 74f5260): a full SegResNet for CT and one for PET (8 filters, 24 output channels, at
full resolution), a linear head on their flattened, pooled output, and the teacher (SwinUNETR's encoder, feature size
48) run again for every batch. One process; the two alternate in each round and are timed in CPU time. Reported are the
median ratio over rounds, and the peak memory of each recipe above the idle process, measured in a separate process.
Status 1 if a target is missed (4 times as fast; 2 GB for ours).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
for part in ("REACTKD", "REACTKDTrain", "Testing"):
    sys.path.insert(0, str(REPOSITORY / part))

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

BATCH, SHAPE = 8, (32, 96, 96)
TARGET_RATIO, TARGET_BYTES = 4.0, 2 * 2**30
Step = Callable[[], float]


def views() -> list:
    """Eight cases with a parenchyma and two lesions each; the student's masks lack one lesion in every other case."""
    from REACTKDTrainLib.data.case import RegionMasks
    from REACTKDTrainLib.data.fixed_nodes import fixed_vectors
    from REACTKDTrainLib.data.view import View

    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in SHAPE), indexing="ij")
    draw = torch.Generator().manual_seed(0)

    def ball(center: tuple[float, ...], radius: float) -> Tensor:
        distance = sum((a - c) ** 2 for a, c in zip(axes, center, strict=True)).sqrt()
        return (radius + 0.5 - distance).clamp(0, 1)

    def regions(lesions: list[Tensor]) -> RegionMasks:
        liver = ball((16, 48, 48), 34.0)
        parenchyma = (liver - sum(lesions)).clamp(0, 1)
        shells = torch.stack([torch.stack([part / 6] * 6) for part in lesions])
        n = len(lesions) + 1
        return RegionMasks(
            torch.stack([parenchyma, *lesions]),
            shells,
            torch.rand(7, generator=draw),
            torch.ones(n),
            torch.arange(n),
            torch.zeros(n, 2),
        )

    out = []
    for case in range(BATCH):
        lesions = [ball((16, 40, 40 + case), 6.0), ball((14, 60, 58), 4.0)]
        expert, masks = regions(lesions), regions(lesions[: 1 + case % 2])
        images = {m: torch.randn(SHAPE, generator=draw) for m in ("ct", "fdg", "acetate")}
        fixed, fixed_expert = fixed_vectors(images, masks), fixed_vectors(images, expert)
        out.append(
            View(f"c{case}", f"p{case}", case % 3, 0, images, None, expert, masks, fixed, fixed_expert, None, str(case))
        )
    return out


def ours() -> Step:
    """Return one step of stage 2 as run by `StudentStage`."""
    from REACTKDLib.core.student.config import StudentConfig
    from REACTKDLib.core.student.network import Student
    from REACTKDTrainLib.distillation.config import DistillationConfig
    from REACTKDTrainLib.distillation.distiller import make_distiller
    from REACTKDTrainLib.models.outputs import GraphOutput
    from REACTKDTrainLib.training.config import LossConfig
    from REACTKDTrainLib.training.stages import Learner, StudentStage
    from REACTKDTrainLib.training.trainer import Sample

    batch = views()
    torch.manual_seed(0)
    student = Student(StudentConfig(cbam=True))
    student.cbam.requires_grad_(False)
    learner = Learner(student, make_distiller("react-kd", DistillationConfig(), 16, 16)).train()
    cached = [
        GraphOutput(torch.randn(1, 3), [torch.randn(len(view.expert), 16)], (), torch.zeros(1, 48)) for view in batch
    ]

    class Data:
        """The eight views."""

        def __len__(self) -> int:
            return BATCH

        def of(self, sample: Sample):
            return batch[sample.index]

    stage = StudentStage(learner, Data(), Data(), LossConfig(), lambda sample: cached[sample.index])
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], lr=3e-4)
    count = iter(range(10**9))

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        terms = stage.loss([Sample(n, 8 * next(count) + n) for n in range(BATCH)])
        terms["loss"].backward()
        optimizer.step()
        return float(terms["loss"].detach())

    return step


def published() -> Step:
    """The published recipe: two SegResNets, a linear head on the flattened output, the teacher run for every batch."""
    from monai.networks.nets.segresnet import SegResNet
    from monai.networks.nets.swin_unetr import SwinTransformer

    torch.manual_seed(0)
    images = torch.randn(BATCH, 2, *SHAPE)
    grades = torch.arange(BATCH) % 3

    def segresnet() -> SegResNet:
        return SegResNet(
            spatial_dims=3, init_filters=8, in_channels=1, out_channels=24, dropout_prob=0.3,
            norm=("INSTANCE", {"affine": True}),
        )  # fmt: skip

    student = nn.ModuleDict(
        {"ct": segresnet(), "pet": segresnet(), "head": nn.Linear(48 * SHAPE[0] * SHAPE[1] * SHAPE[2] // 8, 3)}
    )
    teacher = SwinTransformer(
        in_chans=2,
        embed_dim=48,
        window_size=(7, 7, 7),
        patch_size=(2, 2, 2),
        depths=(2, 2, 2, 2),
        num_heads=(3, 6, 12, 24),
    ).eval()
    readout = nn.Linear(768, 3)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-4)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            wanted = readout(teacher(images)[-1].mean(dim=(2, 3, 4)))
        maps = torch.cat([student["ct"](images[:, :1]), student["pet"](images[:, 1:])], dim=1)
        logits = student["head"](nn.functional.avg_pool3d(maps, 2).flatten(1))
        loss = nn.functional.cross_entropy(logits, grades) + 0.7 * nn.functional.mse_loss(logits, wanted)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


RECIPES = {"ours": ours, "published": published}


def peak_of(name: str) -> int:
    """Peak memory of two steps above the process with its imports, in bytes; measured in a separate process."""
    told = subprocess.run([sys.executable, __file__, "--peak", name], capture_output=True, text=True, check=True)
    return int(told.stdout)


def tell_peak(name: str) -> None:
    """Print the peak resident memory of one recipe, by sampling."""
    import psutil

    import REACTKDTrainLib.training.stages  # noqa: F401

    torch.set_num_threads(1)
    process = psutil.Process()
    idle = process.memory_info().rss
    peak, done = idle, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    step = RECIPES[name]()
    step(), step()
    done.set()
    watcher.join()
    print(peak - idle)


def cpu_seconds(step: Step) -> float:
    """Return the CPU time of one step."""
    started = time.process_time()
    step()
    return time.process_time() - started


def main() -> int:
    """Time both and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", choices=sorted(RECIPES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        tell_peak(options.peak)
        return 0
    torch.set_num_threads(options.threads)
    steps = {name: make() for name, make in RECIPES.items()}
    for step in steps.values():
        step()  # once to warm up
    times = [{name: cpu_seconds(step) for name, step in steps.items()} for _ in range(options.rounds)]
    ratio = statistics.median(t["published"] / t["ours"] for t in times)
    peaks = {name: peak_of(name) for name in RECIPES}
    print(
        f"a step on {BATCH} cases of {'x'.join(map(str, SHAPE))}, {options.threads} thread(s), {options.rounds} rounds:"
    )
    for name in RECIPES:
        seconds = statistics.median(t[name] for t in times)
        print(f"  {name:10s} {seconds:7.2f} s of CPU time, peak memory {peaks[name] / 2**20:6.0f} MB")
    print(f"  ratio {ratio:.1f} (goal {TARGET_RATIO:g}, stretch 8)")
    return 0 if ratio >= TARGET_RATIO and peaks["ours"] <= TARGET_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
