"""A training as its folder tells of it: how far it is, how it learns, what it was worth; and asking it to stop.

The folder is REACTKDTrain's (docs/training.md): `run.json`, `fold<n>/<stage>/log.csv`, `metrics.json`, `bundle`.
Reading needs none of the training's packages, and never disturbs a run that is still writing.
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from REACTKDLib.core.errors import OutputNotWritable, UsageError

RECORD = "run.json"
FORMAT = "reactkd-run/1"
#: stage -> its settings in run.json, in the order of the work
STAGES = {
    "teacher-heads": "teacher_heads",
    "teacher": "teacher_stage",
    "student-heads": "student_heads",
    "student": "student_stage",
}
#: a run writes a row a step; one that wrote nothing for so long is taken to be between stages, or no longer there
SILENT_S = 300.0

#: where a run leaves a trace of its last sign of life; the folders of the cache change with each entry
WRITTEN = ("fold*/*/*", "fold*/*", "cache/*")

State = Literal["preparing", "training", "stopping", "silent", "done"]


@dataclass(frozen=True)
class Curve:
    """What one stage of one fold has logged. steps count from 1; validation: mean log likelihood on inner cases."""

    fold: int
    stage: str
    steps: tuple[int, ...]
    loss: tuple[float, ...]
    validation: tuple[tuple[int, float], ...]
    epoch: int
    fraction: float

    @property
    def name(self) -> str:
        """`student` or `teacher heads`."""
        return self.stage.replace("-", " ")


@dataclass(frozen=True)
class TrainingRun:
    """A run at one moment. quiet_s: since it last wrote. epochs: of the stage at work. bundle: the model, once made."""

    folder: Path
    state: State
    folds: int
    curves: tuple[Curve, ...]
    quiet_s: float
    epochs: int
    phantom: bool
    cohort: str
    cases: int
    method: str
    macro_auc: float | None
    accuracy: float | None
    bundle: Path | None

    @property
    def current(self) -> Curve | None:
        """The stage that was written last."""
        return self.curves[-1] if self.curves else None

    @property
    def fraction(self) -> float:
        """Share of the stages of all folds that is done, the one at work by its steps; 1 when the run is done."""
        if self.state == "done":
            return 1.0
        stages = [name for name in STAGES if name in self._stages()]
        total = self.folds * len(stages)
        return min(sum(curve.fraction for curve in self.curves) / total, 1.0) if total else 0.0

    def _stages(self) -> set[str]:
        seen = {curve.stage for curve in self.curves}
        return seen if self.folds > 1 and len({c.fold for c in self.curves}) > 1 else seen | set(STAGES)


@dataclass
class RunReader:
    """Reads one folder again and again; a log that did not change is not read again.

    Raises (by `read`): UsageError when the folder holds no run that can be read.
    """

    folder: Path
    _logs: dict[Path, tuple[tuple[int, int], Curve]] = field(default_factory=dict)

    def read(self, now: float | None = None) -> TrainingRun:
        """Return the run as it is. now: seconds since the epoch, for tests."""
        record = self._record()
        try:
            configuration, cohort = record["configuration"], record["cohorts"]["cohort"]
            folds, method = int(configuration["folds"]), str(configuration["method"])
            curves = self._curves(configuration)
            epochs = int(configuration[STAGES[curves[-1].stage]]["epochs"]) if curves else 0
            told = bool(cohort["digital_phantom"]), str(cohort["name"]), int(cohort["cases"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError("run.json lacks what REACTKDTrain writes; choose the folder of another run.") from error
        metrics = _read_json(self.folder / "metrics.json") or {}
        bundle = self.folder / "bundle"
        has_bundle = (bundle / "configs" / "metadata.json").is_file()
        quiet = max((now or time.time()) - self._last_written(), 0.0)
        return TrainingRun(
            self.folder,
            self._state(bool(metrics), bool(curves), quiet),
            folds,
            curves,
            quiet,
            epochs,
            *told,
            method,
            _number(metrics.get("macro_auc")),
            _number(metrics.get("accuracy")),
            bundle if has_bundle else None,
        )

    def _record(self) -> dict[str, Any]:
        path = self.folder / RECORD
        if not path.is_file():
            raise UsageError("The folder holds no run (run.json is missing); choose REACTKDTrain's output folder.")
        record = _read_json(path)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise UsageError("run.json is not of this version of REACTKDTrain; choose the folder of another run.")
        return record

    def _state(self, measured: bool, begun: bool, quiet: float) -> State:
        if measured:
            return "done"
        if quiet > SILENT_S:
            return "silent"
        if (self.folder / "STOP").exists():
            return "stopping"
        return "training" if begun else "preparing"

    def _last_written(self) -> float:
        paths = [self.folder / RECORD]
        for pattern in WRITTEN:
            paths += self.folder.glob(pattern)
        return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)

    def _curves(self, configuration: dict[str, Any]) -> tuple[Curve, ...]:
        """In the order of the work: by fold, then by stage."""
        found = []
        for path in self.folder.glob("fold*/*/log.csv"):
            fold, stage = path.parent.parent.name.removeprefix("fold"), path.parent.name
            if fold.isdigit() and stage in STAGES:
                found.append(self._curve(path, int(fold), stage, configuration[STAGES[stage]]))
        order = list(STAGES)
        kept = [curve for curve in found if curve is not None]
        return tuple(sorted(kept, key=lambda curve: (curve.fold, order.index(curve.stage))))

    def _curve(self, path: Path, fold: int, stage: str, settings: dict[str, Any]) -> Curve | None:
        status = path.stat()
        version = status.st_mtime_ns, status.st_size
        if path not in self._logs or self._logs[path][0] != version:
            curve = parse_log(path.read_text(encoding="utf-8"), fold, stage, settings)
            if curve is None:
                return None
            self._logs[path] = version, curve
        return self._logs[path][1]


def parse_log(text: str, fold: int, stage: str, settings: dict[str, Any]) -> Curve | None:
    """Return the curve of a log, None before its first whole row. settings: the stage's epochs and steps.

    A last line that is still being written is left out.
    """
    rows = list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
    if not rows:
        return None
    steps = tuple(int(row["step"]) + 1 for row in rows)
    epoch = int(rows[-1]["epoch"])
    total = int(settings.get("steps") or 0)
    if not total:  # an epoch's steps are known once a second one has begun
        later = next((int(row["step"]) for row in rows if int(row["epoch"]) > 0), None)
        total = later * int(settings["epochs"]) if later else 0
        if total == 0 and int(settings["epochs"]) == 1 and rows[-1].get("validation"):
            total = steps[-1]
    validation = tuple((int(r["step"]) + 1, float(r["validation"])) for r in rows if r.get("validation"))
    fraction = min(steps[-1] / total, 1.0) if total else 0.0
    return Curve(fold, stage, steps, tuple(float(r["loss"]) for r in rows), validation, epoch, fraction)


def ask_to_stop(folder: Path) -> None:
    """Put the file STOP there: the run ends after its current step and keeps its state.

    Raises: OutputNotWritable.
    """
    try:
        (folder / "STOP").touch()
    except OSError as error:
        raise OutputNotWritable(
            f"The file STOP cannot be written to the run's folder ({error.strerror}); stop it where it was started."
        ) from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _number(value: Any) -> float | None:
    """A measure, None where nothing was measured."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
