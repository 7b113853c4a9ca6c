"""Loggers with their own packages, where these are installed: TensorBoard and MLflow read back what was logged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from REACTKDTrainLib.results.log import read_log
from REACTKDTrainLib.training.loggers import LOGGERS, opened_loggers
from support.line_stage import CONFIG, Killed, trainer


@pytest.fixture(params=list(LOGGERS))
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A logger whose packages are installed."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for module in LOGGERS[request.param].modules:
        pytest.importorskip(module)
    return request.param


def read_back(name: str, folder: Path) -> tuple[dict[str, list[tuple[int, float]]], list[str]]:
    """Return the values by name, as (step, value) in order of the steps, and the states of the runs (MLflow's only)."""
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder / "tensorboard" / "fold0" / "line")).Reload()
        return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}, []
    client, experiment = client_of(folder)
    runs = client.search_runs([experiment])
    found: dict[str, list[tuple[int, float]]] = {}
    for run in runs:
        for key in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, key)
            found[key.removeprefix("fold0/line/")] = sorted((metric.step, metric.value) for metric in history)
    return found, [run.info.status for run in runs]


def client_of(folder: Path) -> tuple[Any, str]:
    """Return MLflow's client of a run, and its experiment."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{(folder / 'mlflow.db').resolve().as_posix()}")
    return client, client.get_experiment_by_name("reactkd").experiment_id


def test_the_numbers_of_the_log_are_read_back(name: str, tmp_path: Path) -> None:
    with opened_loggers([name], tmp_path, {"seed": 3}) as found:
        trainer(tmp_path / "fold0" / "line", config=replace(CONFIG, epochs=2), loggers=found).run()
    rows = read_log(tmp_path / "fold0" / "line" / "log.csv")
    values, states = read_back(name, tmp_path)
    for column in set(rows[0]) - {"epoch", "step"}:
        logged = [(n, float(row[column])) for n, row in enumerate(rows) if row[column]]
        assert [step for step, _ in values[column]] == [step for step, _ in logged], column
        assert [value for _, value in values[column]] == pytest.approx([value for _, value in logged], rel=1e-5)
    assert states == (["FINISHED"] if name == "mlflow" else [])
    if name == "mlflow":
        client, experiment = client_of(tmp_path)
        assert client.search_runs([experiment])[0].data.params == {"seed": "3"}


def test_a_resumed_run_continues_the_same_log(name: str, tmp_path: Path) -> None:
    with suppress(Killed), opened_loggers([name], tmp_path, {"seed": 3}) as found:
        trainer(tmp_path / "fold0" / "line", kill_at=2, loggers=found).run()
    if name == "mlflow":
        assert read_back(name, tmp_path)[1] == ["FAILED"]
    with opened_loggers([name], tmp_path, {"seed": 3}) as found:
        trainer(tmp_path / "fold0" / "line", loggers=found).run()
    values, states = read_back(name, tmp_path)
    steps = sorted({step for step, _ in values["loss"]})
    assert steps == list(range(len(read_log(tmp_path / "fold0" / "line" / "log.csv"))))
    assert states == (["FINISHED"] if name == "mlflow" else [])
