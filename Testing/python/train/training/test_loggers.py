"""Loggers by name: each receives the content of log.csv; unknown names and missing packages are refused at once."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.results.log import read_log
from REACTKDTrainLib.training import loggers
from REACTKDTrainLib.training.loggers import LOGGERS, RunLogger, logger_names, opened_loggers
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.stop import Stopped
from support.line_stage import CONFIG, Killed, trainer


class Kept(RunLogger):
    """Stores what it receives."""

    def __init__(self, folder, settings):
        self.folder, self.settings, self.rows, self.ended = folder, settings, [], []

    def add(self, part, step, values):
        self.rows.append((part, step, values))

    def close(self, end):
        self.ended.append(end)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOGGERS, "kept", Kept)


def test_a_logger_receives_the_values_of_the_log(kept, tmp_path: Path) -> None:
    with opened_loggers(logger_names("kept, kept"), tmp_path, {"seed": 3}) as (logger,):
        trainer(tmp_path / "fold0" / "line", config=replace(CONFIG, epochs=2), loggers=[logger]).run()
    rows = read_log(tmp_path / "fold0" / "line" / "log.csv")
    assert [(part, step) for part, step, _ in logger.rows] == [("fold0/line", n) for n in range(4)]
    for row, (_, _, values) in zip(rows, logger.rows, strict=True):
        assert set(values) == {k for k, v in row.items() if v} - {"epoch", "step"}
        assert values["loss"] == pytest.approx(float(row["loss"]), rel=1e-5)
    assert logger.settings == {"seed": 3} and logger.ended == ["finished"]


def test_a_logger_is_closed_as_failed_when_a_run_fails(kept, tmp_path: Path) -> None:
    with pytest.raises(Killed), opened_loggers(["kept"], tmp_path, {}) as (logger,):
        trainer(tmp_path / "a", kill_at=2, loggers=[logger]).run()
    assert logger.ended == ["failed"] and len(logger.rows) == 2


def test_loggers_that_are_open_are_closed_when_the_next_cannot_be_opened(monkeypatch, tmp_path: Path) -> None:
    opened: list[Kept] = []

    class Noted(Kept):
        def __init__(self, folder, settings):
            super().__init__(folder, settings)
            opened.append(self)

    class Broken(Kept):
        def __init__(self, folder, settings):
            raise OSError("no store")

    monkeypatch.setitem(LOGGERS, "noted", Noted)
    monkeypatch.setitem(LOGGERS, "broken", Broken)
    with pytest.raises(OSError, match="no store"), opened_loggers(["noted", "broken"], tmp_path, {}):
        pytest.fail("the run began")
    assert [logger.ended for logger in opened] == [["failed"]]


class Store:
    """The calls of MLflow's client that a run makes; a real store is a package that is not installed here."""

    runs: dict[str, str]

    def __init__(self, store):
        pass

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return "1"

    def create_run(self, experiment):
        type(self).runs["r"] = "RUNNING"
        return SimpleNamespace(info=SimpleNamespace(run_id="r"))

    def update_run(self, run, status):
        self.runs[run] = status

    def set_terminated(self, run, status):
        self.runs[run] = status

    def log_param(self, run, name, value):
        pass

    def log_batch(self, run, metrics):
        pass


@pytest.fixture
def store(monkeypatch) -> type[Store]:
    class Own(Store):
        runs: ClassVar[dict[str, str]] = {}

    tracking = ModuleType("mlflow.tracking")
    tracking.MlflowClient = Own
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", tracking)
    return Own


@pytest.mark.parametrize("resumed", [False, True])
def test_a_run_whose_logger_cannot_be_opened_ends_as_failed(resumed, store, monkeypatch, tmp_path: Path) -> None:
    """It was left open, as RUNNING: the logger is closed only once it has been opened."""
    if resumed:
        with opened_loggers(["mlflow"], tmp_path, {"seed": 1}):
            pass
        assert store.runs == {"r": "FINISHED"}

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(store, "log_param", full)
    monkeypatch.setitem(LOGGERS, "broken", type("Broken", (Kept,), {"__init__": full}))
    with pytest.raises(OSError, match="disk full"), opened_loggers(["mlflow", "broken"], tmp_path, {"seed": 1}):
        pytest.fail("the run began")
    assert store.runs == {"r": "FAILED"}


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (OSError, "FAILED"), (Stopped, "KILLED"), (KeyboardInterrupt, "KILLED")]
)
def test_a_run_ends_with_the_status_of_its_end(error, status, store, tmp_path: Path) -> None:
    with suppress(OSError, Stopped, KeyboardInterrupt), opened_loggers(["mlflow"], tmp_path, {}):
        if error is not None:
            raise error
    assert store.runs == {"r": status}


@pytest.mark.parametrize("name", ["add_scalar", "close"])
def test_every_writer_of_tensorboard_is_closed_when_one_fails(name, monkeypatch, tmp_path: Path) -> None:
    closed: list[str] = []

    class Writer:
        def __init__(self, folder, purge_step):
            self.folder = Path(folder).name

        def add_scalar(self, *_):
            if name == "add_scalar" and self.folder == "second":
                raise OSError("disk full")

        def close(self):
            closed.append(self.folder)
            if name == "close":
                raise OSError("disk full")

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    with pytest.raises(OSError, match="disk full"), opened_loggers(["tensorboard"], tmp_path, {}) as (logger,):
        for part in ("first", "second"):
            logger.add(part, 0, {"loss": 1.0})
    assert sorted(closed) == ["first", "second"]


def test_every_logger_is_closed_even_if_closing_one_fails(monkeypatch, kept, tmp_path: Path) -> None:
    class Full(Kept):
        def close(self, end):
            raise OSError("disk full")

    monkeypatch.setitem(LOGGERS, "full", Full)
    for names in (["full", "kept"], ["kept", "full"]):
        with pytest.raises(OSError, match="disk full"), opened_loggers(names, tmp_path, {}) as found:
            pass
        assert found[names.index("kept")].ended == ["finished"], names


def test_unknown_and_unavailable_loggers_are_refused_before_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="There is no logger 'wandb'; choose tensorboard or mlflow"):
        RunOptions("phantom:hospital", tmp_path, loggers="wandb")
    monkeypatch.setattr(loggers.TensorBoard, "modules", ("no_such_module_anywhere",))
    with pytest.raises(UsageError, match="tensorboard needs packages that are not installed; .* pip install tensorb"):
        RunOptions("phantom:hospital", tmp_path, loggers="tensorboard")
    assert RunOptions("phantom:hospital", tmp_path).loggers == ""
