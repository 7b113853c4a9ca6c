"""Optional loggers of a run, in addition to log.csv and the JSON files: TensorBoard and MLflow.

Both write on this computer: no account, no server, nothing is sent. Their packages are not dependencies; they are
imported only if a run uses them.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.text import shown
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.training.stop import Stopped

#: how a run ended: 'stopped' by a person, 'failed' with an error
End = Literal["finished", "stopped", "failed"]
#: -> MLflow's name
_STATUS: dict[End, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_ROWS = 50  # written to MLflow at once, since each write is a transaction


class RunLogger(ABC):
    """One logger of a run. modules, packages: what it imports, and the packages that provide it."""

    modules: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[str] = ""

    @abstractmethod
    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        """folder: of the run, which may be resumed. settings: the JSON form of the run's configuration."""

    @abstractmethod
    def add(self, part: str, step: int, values: Mapping[str, float]) -> None:
        """Log the values of one step. part: 'fold0/student', or 'measures' for those at the end of the run."""

    @abstractmethod
    def close(self, end: End) -> None:
        """Write what is buffered. end: how the run ended."""


class TensorBoard(RunLogger):
    """Event files in the folder `tensorboard`: `tensorboard --logdir my-run/tensorboard`."""

    modules, packages = ("tensorboard",), "tensorboard"

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self._folder, self._writers = Path(folder) / "tensorboard", {}

    def add(self, part: str, step: int, values: Mapping[str, float]) -> None:
        """See `RunLogger`; a resumed run hides the earlier records of repeated steps."""
        from torch.utils.tensorboard import SummaryWriter

        if part not in self._writers:
            self._writers[part] = SummaryWriter(str(self._folder / part), purge_step=step)
        for name, value in values.items():
            self._writers[part].add_scalar(name, value, step)

    def close(self, end: End) -> None:
        """See `RunLogger`."""
        with ExitStack() as closing:  # all of them, even if one fails
            for writer in self._writers.values():
                closing.callback(writer.close)


class MLflow(RunLogger):
    """A run in the experiment `reactkd` of the store that MLFLOW_TRACKING_URI specifies, by default the file
    `mlflow.db` in the folder: `mlflow ui --backend-store-uri sqlite:///my-run/mlflow.db`.
    """

    modules, packages = ("mlflow", "sqlalchemy", "alembic"), "mlflow-skinny sqlalchemy alembic"

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        store = (
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(Path(folder) / 'mlflow.db').resolve().as_posix()}"
        )
        self._client, self._rows = MlflowClient(store), []
        note = Path(folder) / "mlflow.json"
        if note.exists():
            self._run = parse_json(note.read_text(encoding="utf-8"))["run"]
            self._client.update_run(self._run, status="RUNNING")
            return
        found = self._client.get_experiment_by_name("reactkd")
        experiment = found.experiment_id if found else self._client.create_experiment("reactkd")
        self._run = self._client.create_run(experiment).info.run_id
        try:
            for name, value in _flat(settings):
                self._client.log_param(self._run, name, str(value)[:500])
            write_text(note, json.dumps({"run": self._run}) + "\n")  # last: a resumed run continues a complete one
        except BaseException:
            self._client.set_terminated(self._run, _STATUS["failed"])
            raise

    def add(self, part: str, step: int, values: Mapping[str, float]) -> None:
        """See `RunLogger`."""
        from time import time

        from mlflow.entities import Metric

        now = int(time() * 1000)
        self._rows += [Metric(f"{part}/{name}", value, now, step) for name, value in values.items()]
        if len(self._rows) >= _ROWS:
            self._flush()

    def close(self, end: End) -> None:
        """See `RunLogger`."""
        try:
            self._flush()
        except BaseException:
            end = "failed"
            raise
        finally:
            self._client.set_terminated(self._run, _STATUS[end])

    def _flush(self) -> None:
        if self._rows:
            self._client.log_batch(self._run, metrics=self._rows)
        self._rows = []


LOGGERS: dict[str, type[RunLogger]] = {"tensorboard": TensorBoard, "mlflow": MLflow}


def logger_names(text: str) -> list[str]:
    """Return the names in a comma-separated text, without repetitions.

    Raises: UsageError for an unknown logger, or one whose packages are not installed.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in LOGGERS:
            raise UsageError(f"There is no logger {shown(repr(name))}; choose {' or '.join(LOGGERS)}.")
        if any(find_spec(module) is None for module in LOGGERS[name].modules):
            packages = LOGGERS[name].packages
            raise UsageError(
                f"The logger {name} needs packages that are not installed; leave it out, or install them: pip install "
                f"{packages}."
            )
    return names


@contextmanager
def opened_loggers(names: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> Iterator[list[RunLogger]]:
    """Open the loggers of a run as a context; with several processes, only in the first one.

    All loggers that were opened are closed, even if the next one cannot be opened or another cannot be closed.
    """
    found: list[RunLogger] = []
    end: End = "failed"
    with ExitStack() as opened:
        for name in names:
            found.append(LOGGERS[name](folder, settings))
            opened.callback(lambda logger=found[-1]: logger.close(end))
        try:
            yield found
            end = "finished"
        except (Stopped, KeyboardInterrupt):
            end = "stopped"
            raise


def numbers_of(row: Mapping[str, object]) -> dict[str, float]:
    """Return the measures in a row of log.csv."""
    return {k: float(v) for k, v in row.items() if k not in ("epoch", "step") and isinstance(v, int | float)}


def _flat(settings: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{where}{name}.")
        else:
            yield f"{where}{name}", value
