"""Early stopping, gradient accumulation, learning rate search, and resuming with another number of processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from REACTKDTrainLib.results.log import read_log
from REACTKDTrainLib.training.config import ADDED, TrainingConfig
from REACTKDTrainLib.training.lr_finder import STEPS, find_lr
from REACTKDTrainLib.training.record import open_folder
from support.line_stage import CONFIG, Killed, Line, trainer, weights


class Fades(Line):
    """A stage whose score peaks at the second validation, and again at the sixth."""

    scores = (0.5, 0.9, 0.6, 0.8, 0.7, 0.95, 0.1, 0.1)

    def __init__(self):
        super().__init__()
        self.looks: list[dict[str, Tensor]] = []

    def validate(self) -> dict[str, float]:
        self.looks.append({k: v.clone() for k, v in self.module.state_dict().items()})
        return {"score": self.scores[len(read_log(self.log)) // 2 if self.log.exists() else 0]}


@pytest.mark.parametrize(("patience", "steps"), [(0, 16), (1, 6), (3, 10)])
def test_a_stage_ends_after_its_patience_with_the_best_weights(patience: int, steps: int, tmp_path: Path) -> None:
    stage, config = Fades(), replace(CONFIG, epochs=8, patience=patience)
    stage.log = tmp_path / "log.csv"
    run = trainer(tmp_path, stage, config=config, seconds=1e9)
    run.run()
    assert run.step == steps == len(read_log(stage.log))
    best = stage.looks[5 if steps == 16 else 1]
    assert all(torch.equal(v, best[k]) for k, v in weights(run).items())
    again = trainer(tmp_path, stage, config=config)
    again.run()
    assert again.step == steps and len(read_log(stage.log)) == steps  # an ended stage stays so


def test_a_run_killed_during_its_patience_ends_at_the_same_step(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=8, patience=3)
    for kill_at in (7, None):
        stage = Fades()
        stage.log = tmp_path / "log.csv"
        run = trainer(tmp_path, stage, config=config, kill_at=kill_at)
        if kill_at:
            with pytest.raises(Killed):
                run.run()
    run.run()
    assert run.step == 10


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_gives_the_gradient_of_the_batch(
    parts: int,
    undisturbed: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    gradients = []
    for count in (1, parts):
        run = trainer(tmp_path / str(count), Line(), config=replace(CONFIG, accumulate=count))
        run._start()
        run._step = lambda samples, stage=run.stage: stage.loss(samples)
        loss = run._gradients(run._batch(0, 0))
        gradients.append({n: p.grad for n, p in run.stage.module.named_parameters()})
        assert [len(seen) for seen in run.stage.seen] == [4 // count] * count and set(loss) == {"loss", "squared"}
    whole, sums = gradients
    assert whole["unused.weight"] is None and sums["unused.weight"] is None
    for name in ("a.weight", "b.weight", "a.bias"):
        torch.testing.assert_close(sums[name], whole[name], rtol=1e-6, atol=1e-6)
    run = trainer(tmp_path / "run", config=replace(CONFIG, accumulate=parts))
    run.run()
    for name, value in weights(run).items():
        torch.testing.assert_close(value, undisturbed[name], rtol=1e-5, atol=1e-5)


def test_the_found_learning_rate_trains_and_the_search_leaves_no_trace(tmp_path: Path) -> None:
    """Starting from a rate that is fifty times too small."""
    losses = {}
    for find in (False, True):
        run = trainer(
            tmp_path / str(find), config=replace(CONFIG, epochs=20, lr=1e-3, warmup=0.0, find_lr=find), seconds=1e9
        )
        run.run()
        losses[find] = [float(r["loss"]) for r in read_log(run.folder / "log.csv")]
    assert losses[True][0] == losses[False][0]  # the same weights and the same batch
    assert run._lr > 2e-3 and losses[True][-1] < losses[False][-1]
    assert float(read_log(run.folder / "log.csv")[0]["rate"]) == pytest.approx(run._lr, rel=1e-4)
    again = trainer(tmp_path / "True", config=run.config)
    again.run()
    assert again._lr == run._lr


def test_the_search_takes_a_tenth_of_the_best_rate_and_ends_where_the_loss_explodes() -> None:
    tried: list[float] = []

    def trial(step: int, rate: float) -> float:
        tried.append(rate)
        return 1.0 - 20 * rate if rate < 0.04 else float("nan") if rate > 0.5 else 1.0 + 40 * rate

    found = find_lr(trial, 0.01)
    assert 0.003 <= found <= 0.005 and len(tried) < STEPS and max(tried) < 0.6
    assert find_lr(lambda step, rate: 1.0 + step, 0.02) == 0.02  # no rate lowers the loss


SCRIPT = """
import sys
from pathlib import Path
from support.line_stage import Killed, trainer
from REACTKDTrainLib.training.processes import Processes
processes = Processes.joined("cpu")
try:
    trainer(Path(sys.argv[1]), kill_at=3, processes=processes).run()
except Killed:
    print("killed", processes.rank, processes.world)
"""


def two_processes(script: str, folder: Path) -> list[list[str]]:
    """The output of each of two processes of one group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, str(folder)]
    both = [
        subprocess.Popen(command, env=os.environ | group | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    return [run.communicate(timeout=120)[0].split() for run in both]


REMEMBERS = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from support.line_stage import CONFIG, Killed, Line, trainer, weights
from REACTKDTrainLib.training.processes import Processes


class Remembers(Line):
    def __init__(self):
        super().__init__()
        self.module.register_buffer("bank", torch.zeros(3))

    def terms(self, samples):
        out = super().terms(samples)
        first = self.module["a"](self.bank_now()).square().mean()
        rows = torch.stack([self.x[s.index] for s in samples])
        with torch.no_grad():
            self.module.bank.mul_(0.5).add_(rows.mean(dim=0))
        return out | {"bank": first}

    def bank_now(self):
        return self.module.bank.clone()


processes = Processes.joined("cpu")
for parts in (1, 2):
    usual = {"processes": processes, "config": replace(CONFIG, accumulate=parts)}
    whole = trainer(Path(sys.argv[1]) / f"whole{parts}", Remembers(), **usual)
    whole.run()
    folder = Path(sys.argv[1]) / f"killed{parts}"
    try:
        trainer(folder, Remembers(), kill_at=3, **usual).run()
    except Killed:
        processes.wait()
        again = trainer(folder, Remembers(), **usual)
        again.run()
        print(all(torch.equal(value, weights(whole)[name]) for name, value in weights(again).items()))
processes.leave()
"""


@pytest.mark.slow  # each of them loads PyTorch
def test_the_state_of_two_processes_survives_a_kill(tmp_path: Path) -> None:
    """The memory banks of the compared methods are buffers; each process sees its own share of a batch."""
    assert two_processes(REMEMBERS, tmp_path) == [["True", "True"], ["True", "True"]]


@pytest.mark.slow  # each of them loads PyTorch
def test_a_run_of_two_processes_can_be_resumed_by_one(undisturbed: dict[str, Tensor], tmp_path: Path) -> None:
    assert two_processes(SCRIPT, tmp_path) == [["killed", str(r), "2"] for r in range(2)]
    assert len(read_log(tmp_path / "log.csv")) == 3
    run = trainer(tmp_path)
    run.run()
    assert [int(r["step"]) for r in read_log(tmp_path / "log.csv")] == list(range(6))
    for name, value in weights(run).items():
        torch.testing.assert_close(value, undisturbed[name], rtol=1e-4, atol=1e-5)


def test_a_run_of_a_release_without_these_settings_is_resumed(tmp_path: Path) -> None:
    config = TrainingConfig.for_size("tiny")
    old = config.to_dict()
    for section, added in ADDED.items():
        for name in added:
            del old[section][name]
    assert config.bound() == old
    record = {"configuration": old, "cohorts": {}}
    open_folder(tmp_path, record, resume=False)
    open_folder(tmp_path, record | {"configuration": config.to_dict()}, resume=True)
    changed = config.to_dict() | {"student_stage": config.to_dict()["student_stage"] | {"patience": 2}}
    with pytest.raises(Exception, match="student_stage.patience: 0, now 2"):
        open_folder(tmp_path, record | {"configuration": changed}, resume=True)
