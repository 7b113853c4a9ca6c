"""The state of a training run from its folder: progress, learning curves, results; and requesting a stop.

The folder is REACTKDTrain's (docs/how-to/training.md): `run.json`, `fold<n>/<stage>/log.csv`, `metrics.json`, `bundle`.
Reading needs no training packages, and does not disturb a running training.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from REACTKDLib.core.errors import OutputNotWritable, UsageError
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker.training_log import Curve, LogReader

RECORD = "run.json"
FORMAT = "reactkd-run/1"
STOP = "STOP"
STOPPED = "STOPPED"  # the same file, renamed once the run has stopped
#: stage -> its settings in run.json, in the order of the work
STAGES = {
    "teacher-heads": "teacher_heads",
    "teacher": "teacher_stage",
    "student-heads": "student_heads",
    "student": "student_stage",
}
#: a run that wrote nothing for this long is between stages, or has ended
SILENT_S = 300.0
#: paths whose times show that a run is alive; the folders of the cache change with each entry
WRITTEN = ("fold*", "fold*/*", "fold*/*/*", "cache", "cache/*")

State = Literal["preparing", "training", "stopping", "stopped", "silent", "done"]


@dataclass(frozen=True)
class TrainingRun:
    """A run at one moment.

    curves: by fold, then by stage; the last one is at work, or was. quiet_s: since the run last wrote anything.
    folds: of the cross-validation (a run may train one of them alone). macro_auc, accuracy: on unseen cases, None
    before the end. bundle: the model's folder, None before it is made.
    """

    folder: Path
    state: State
    curves: tuple[Curve, ...]
    quiet_s: float
    folds: int
    method: str
    cohort: str
    cases: int
    phantom: bool
    macro_auc: float | None
    accuracy: float | None
    bundle: Path | None

    @property
    def current(self) -> Curve | None:
        """The current stage, or the last one."""
        return self.curves[-1] if self.curves else None


@dataclass
class RunReader:
    """Reads one folder repeatedly; of a log only new rows."""

    folder: Path
    _logs: dict[Path, LogReader] = field(default_factory=dict)

    def read(self, now: float | None = None) -> TrainingRun:
        """Return the run as it is. now: seconds since the epoch, for tests.

        Raises: UsageError if the folder contains no readable run.
        """
        record = self._record()
        try:
            configuration, cohort = record["configuration"], record["cohorts"]["cohort"]
            facts = int(configuration["folds"]), str(configuration["method"])
            facts += str(cohort["name"]), int(cohort["cases"]), bool(cohort["digital_phantom"])
            curves = self._curves(configuration)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise UsageError(
                _("The training's files are not what REACTKDTrain writes; choose the folder of another run.")
            ) from error
        metrics = _read_json(self.folder / "metrics.json")
        bundle = self.folder / "bundle"
        quiet = max((time.time() if now is None else now) - self._last_written(), 0.0)
        return TrainingRun(
            self.folder,
            self._state(metrics is not None, bool(curves), quiet),
            curves,
            quiet,
            *facts,
            _number((metrics or {}).get("macro_auc")),
            _number((metrics or {}).get("accuracy")),
            bundle if (bundle / "configs" / "metadata.json").is_file() else None,
        )

    def _record(self) -> dict[str, Any]:
        path = self.folder / RECORD
        if not path.is_file():
            raise UsageError(
                _("There is no training run in the folder (no run.json); choose REACTKDTrain's output folder.")
            )
        record = _read_json(path)
        if record is None or record.get("format") != FORMAT:
            raise UsageError(
                _("The file run.json is not of this version of REACTKDTrain; choose the folder of another run.")
            )
        return record

    def _state(self, measured: bool, begun: bool, quiet: float) -> State:
        if measured:
            return "done"
        if (self.folder / STOPPED).exists():
            return "stopped"
        if quiet > SILENT_S:
            return "silent"
        if (self.folder / STOP).exists():
            return "stopping"
        return "training" if begun else "preparing"

    def _last_written(self) -> float:
        paths = [self.folder / RECORD, *(path for pattern in WRITTEN for path in self.folder.glob(pattern))]
        times = []
        for path in paths:
            try:
                times.append(path.stat().st_mtime)
            except OSError:  # taken away meanwhile
                continue
        return max(times, default=0.0)

    def _curves(self, configuration: dict[str, Any]) -> tuple[Curve, ...]:
        order, found = list(STAGES), []
        for stage in order:
            for fold, path in fold_files(self.folder, f"{stage}/log.csv").items():
                if path not in self._logs:
                    self._logs[path] = LogReader(path, fold, stage, configuration[STAGES[stage]])
                curve = self._logs[path].read()
                if curve is not None:
                    found.append(curve)
        return tuple(sorted(found, key=lambda curve: (curve.fold, order.index(curve.stage))))


def fold_files(folder: Path, name: str) -> dict[int, Path]:
    """Return number -> the file `fold<number>/<name>` of a run, in the order of the numbers.

    A copy of a fold's folder (`fold0-old`) is no fold. name: 'test.json', 'student/log.csv'.
    """
    found = {}
    for path in folder.glob(f"fold*/{name}"):
        number = path.relative_to(folder).parts[0].removeprefix("fold")
        if number.isdecimal() and str(int(number)) == number:
            found[int(number)] = path
    return dict(sorted(found.items()))


def ask_to_stop(folder: Path) -> None:
    """Create the file STOP: the run ends after its current step and keeps its state. Raises: OutputNotWritable."""
    try:
        (folder / STOP).touch()
    except OSError as error:
        text = _("The file STOP cannot be written to the run's folder ({reason}); stop it where it was started.")
        raise OutputNotWritable(text, reason=error.strerror) from error


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        read = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return read if isinstance(read, dict) else None


def _number(value: Any) -> float | None:
    """A measure, None where nothing was measured."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
