"""The training loop on a small stage: killed at any step it ends with the same weights; stop, full disk, other runs."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.results.log import CsvLog, read_log
from REACTKDTrainLib.training.checkpoint import load_checkpoint, save_checkpoint
from REACTKDTrainLib.training.config import StageConfig
from REACTKDTrainLib.training.randomness import order_of, seed_of
from REACTKDTrainLib.training.stop import StopFile, Stopped
from REACTKDTrainLib.training.trainer import Diverged, kept_state, learning_rate
from support.line_stage import CONFIG, Killed, Line, trainer, weights


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["checkpoint at every step", "at epochs alone"])
@pytest.mark.parametrize("step", range(1, 7))
def test_killed_at_any_step_and_resumed_it_ends_with_the_same_bits(
    step: int, seconds: float, undisturbed: dict[str, Tensor], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        trainer(tmp_path, kill_at=step, seconds=seconds).run()
    again = trainer(tmp_path, seconds=seconds)
    again.run()
    assert all(torch.equal(v, undisturbed[k]) for k, v in weights(again).items())
    rows = read_log(tmp_path / "log.csv")
    assert [int(r["step"]) for r in rows] == list(range(6))  # 10 cases in batches of 4: 2 steps per epoch


@pytest.mark.parametrize("write", range(1, 10))
def test_killed_between_two_files_it_ends_with_the_same_bits_in_both(
    write: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later stage uses best.pt, which must not lag behind last.pt, since the steps between are not repeated."""
    whole = trainer(tmp_path / "whole", seconds=1e9)
    whole.run()
    count = itertools.count(1)

    def killed_before(path: Path, *told) -> None:
        if next(count) == write:
            raise Killed
        save_checkpoint(path, *told)

    monkeypatch.setattr("REACTKDTrainLib.training.trainer.save_checkpoint", killed_before)
    try:
        trainer(tmp_path / "killed", seconds=1e9).run()
    except Killed:
        pass
    trainer(tmp_path / "killed", seconds=1e9).run()
    for name in ("best.pt", "last.pt"):
        ours, theirs = (load_checkpoint(tmp_path / run / name, "b") for run in ("killed", "whole"))
        assert ours[1] == theirs[1]
        assert all(torch.equal(ours[0]["module"][k], v) for k, v in theirs[0]["module"].items())


def test_the_optimizer_state_is_on_the_device_of_the_weights() -> None:
    """Checkpoints are loaded on the CPU; AdamW expects its moments on the device of the weights, as it creates them."""
    weight = torch.nn.Parameter(torch.zeros(3, device="meta"))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.zeros(3, device="meta")
    optimizer.step()
    made = {name: value.device for name, value in optimizer.state[weight].items()}
    kept = {"step": torch.tensor(4.0), "exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}
    assert {name: value.device for name, value in kept_state(kept, weight).items()} == made
    assert kept_state(kept, torch.zeros(3))["step"] == 4


def test_a_parameter_that_no_sample_used_is_not_stepped_nor_decayed(undisturbed: dict[str, Tensor]) -> None:
    fresh = Line().module.state_dict()
    assert torch.equal(undisturbed["unused.weight"], fresh["unused.weight"])
    assert not torch.equal(undisturbed["a.weight"], fresh["a.weight"])


def test_the_module_ends_with_the_best_weights_seen(tmp_path: Path) -> None:
    stage = Line()
    scores = iter([0.1, 0.9, 0.5])
    kept: list[Tensor] = []

    def validate() -> Mapping[str, float]:
        kept.append(stage.module["a"].weight.detach().clone())
        return {"score": next(scores)}

    stage.validate = validate
    trainer(tmp_path, stage).run()
    assert torch.equal(stage.module["a"].weight, kept[1])
    tensors, told = load_checkpoint(tmp_path / "best.pt", "b")
    assert torch.equal(tensors["module"]["a.weight"], kept[1]) and told["score"] == 0.9


def test_every_epoch_goes_through_the_cases_in_another_order(tmp_path: Path) -> None:
    stage = Line(cases=8)
    trainer(tmp_path, stage).run()
    epochs = [sum(stage.seen[n : n + 2], []) for n in (0, 2, 4)]
    assert all(sorted(e) == list(range(8)) for e in epochs)
    assert len({tuple(e) for e in epochs}) == 3


def test_a_stop_file_ends_it_before_the_next_step_and_keeps_the_state(
    undisturbed: dict[str, Tensor], tmp_path: Path
) -> None:
    run = trainer(tmp_path, stop=StopFile(tmp_path), seconds=1e9)
    run.on_progress = lambda fraction, text: (tmp_path / "STOP").touch() if fraction >= 0.5 else None
    with pytest.raises(Stopped):
        run.run()
    assert run.step == 3
    (tmp_path / "STOP").unlink()
    again = trainer(tmp_path)
    again.run()
    assert all(torch.equal(v, undisturbed[k]) for k, v in weights(again).items())


def test_a_loss_that_is_not_a_number_is_reported_with_its_step(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="no longer a number at step 0; lower its learning rate"):
        trainer(tmp_path, Line(scale=math.inf)).run()


def test_a_stage_without_steps_keeps_the_weights_before_it_in_a_checkpoint(tmp_path: Path) -> None:
    """A teacher with trained heads alone had no checkpoint, so that no student could be trained with it later."""
    run = trainer(tmp_path, config=replace(CONFIG, epochs=0))
    before = weights(run)
    run.run()
    tensors, progress = load_checkpoint(tmp_path / "last.pt", "b")
    assert progress["step"] == 0 and not tensors["best"]
    assert all(torch.equal(tensors["module"][name], value) for name, value in before.items())


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path).run()
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(UsageError, match="another configuration or other cases"):
        trainer(tmp_path, binding="c").run()
    assert (tmp_path / "last.pt").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 broken"])
def test_a_file_that_is_not_a_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(UsageError, match="is not a checkpoint of this program"):
        load_checkpoint(tmp_path / "last.pt", "b")


def test_a_full_disk_while_writing_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"w": torch.ones(3)}, {"step": 1}, "b")
    # a file size limit makes a write fail like a full disk, without needing a separate disk
    code = f"""
import resource, signal, torch
from pathlib import Path
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDTrainLib.training.checkpoint import save_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    save_checkpoint(Path({str(path)!r}), {{"w": torch.zeros(100_000)}}, {{"step": 2}}, "b")
except OutputNotWritable as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stdout.strip() == (
        "The checkpoint last.pt could not be written (is the disk full?); make room and resume: the last one is whole."
    ), told.stderr
    tensors, state = load_checkpoint(path, "b")
    assert state == {"step": 1} and torch.equal(tensors["w"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_checkpoint_holds_tensors_alone(tmp_path: Path) -> None:
    trainer(tmp_path).run()
    torch.load(tmp_path / "last.pt", weights_only=True)


def test_a_log_drops_the_rows_that_will_be_run_again(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "log.csv")
    for step in range(4):
        log.add({"step": step, "loss": 1.0 / (step + 1)})
    with open(tmp_path / "log.csv", "a") as stream:
        stream.write("4,0.")  # a row that was being written
    CsvLog(tmp_path / "log.csv", step=2).add({"step": 2, "loss": 0.25})
    rows = read_log(tmp_path / "log.csv")
    assert [(r["step"], float(r["loss"])) for r in rows] == [("0", 1.0), ("1", 0.5), ("2", 0.25)]


def test_an_incomplete_row_is_dropped_before_writing(tmp_path: Path) -> None:
    CsvLog(tmp_path / "log.csv").add({"step": 0, "loss": 1.0})
    with open(tmp_path / "log.csv", "a") as stream:
        stream.write("1")
    CsvLog(tmp_path / "log.csv", step=1).add({"step": 1, "loss": 0.5})
    assert [(r["step"], float(r["loss"])) for r in read_log(tmp_path / "log.csv")] == [("0", 1.0), ("1", 0.5)]


def test_incomplete_rows_of_a_log_are_not_read(tmp_path):
    """A log may be read at any time during training: a partially written 0.25 must not be read as the loss 0.2."""
    path = tmp_path / "log.csv"
    log = CsvLog(path)
    for step, loss in enumerate((1.0, 0.25, 0.125)):
        log.add({"step": step, "loss": loss})
    content, wanted = path.read_bytes(), [("0", "1"), ("1", "0.25"), ("2", "0.125")]
    for end in range(len(content) + 1):
        path.write_bytes(content[:end])
        rows = [(row["step"], row["loss"]) for row in read_log(path)]
        assert rows == wanted[: max(content[:end].count(b"\n") - 1, 0)]


def test_the_rate_warms_up_and_falls_to_a_thousandth() -> None:
    config = StageConfig(epochs=1, batch=1, lr=1.0, warmup=0.1)
    rates = [learning_rate(n, 100, config) for n in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (9, 10) and rates[-1] < 0.002
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_seeds_depend_only_on_their_purpose() -> None:
    assert seed_of("a", 1) == seed_of("a", 1) != seed_of("a", 2)
    assert seed_of("a", 12) != seed_of("a1", 2)
    state = torch.get_rng_state()
    assert order_of(50, "x") == order_of(50, "x") and sorted(order_of(50, "x")) == list(range(50))
    assert torch.equal(state, torch.get_rng_state())
