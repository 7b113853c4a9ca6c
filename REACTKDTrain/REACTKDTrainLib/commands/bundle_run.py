"""What `configs/train.json` of a model folder runs: its student, trained further on the graded cases of a datalist.

The configuration names this class, and bundles are shared: its name and its arguments stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.task import HCC_GRADE
from REACTKDTrainLib.api import Run, train
from REACTKDTrainLib.cohorts.sizes import SIZES, preparation_of


class StudentTrainer:
    """Trains the student of a bundle on, by `REACTKDTrainLib.train`; the bundle itself stays as it is.

    Args:
        bundle_root: the model folder whose weights training starts from.
        datalist: graded cases, as `train` takes them.
        output_dir: the folder of the run; the new model is `bundle` in it.
        device: 'auto', 'cpu', 'cuda' or 'cuda:1'. max_epochs: over the training cases, where `settings` name neither
            epochs nor steps.
        folds: of cross-validation.
        method: how it learns from teachers; 'none' learns from the grades alone. With another, teachers are trained
            first.
        settings: of a training, as the file that `--config` takes; what is not said is as usual for the grid's size.
            Folds and a method that they name go over the arguments.

    Example:
        >>> python -m monai.bundle run --config_file configs/train.json --datalist graded.json --output_dir run
    """

    def __init__(
        self,
        bundle_root: str | Path,
        datalist: str | Path,
        output_dir: str | Path,
        device: str = "auto",
        max_epochs: int = 50,
        folds: int = 3,
        method: str = "none",
        settings: Mapping[str, Any] | None = None,
    ):
        self.bundle_root, self.datalist, self.output_dir = Path(bundle_root), datalist, Path(output_dir)
        given = {"folds": folds, "method": method}
        self.settings = {name: value for name, value in given.items() if value} | dict(settings or {})
        self.options = {"device": device}
        if not {"epochs", "steps"} & {k for k, v in self.settings.get("student_stage", {}).items() if v}:
            self.options["student_epochs"] = max_epochs

    def run(self) -> Run:
        """Train. Raises: what `train` raises; UsageError for a grid that no training has."""
        with TemporaryDirectory(prefix="reactkd-") as folder:  # run.json of the run keeps them
            path = Path(folder) / "settings.json"
            path.write_text(json.dumps(self._settings()), encoding="utf-8")
            task = Bundle.load(self.bundle_root).task
            if task != HCC_GRADE:
                own = Path(folder) / "task.json"
                own.write_text(json.dumps(task.to_dict()), encoding="utf-8")
                self.options["task"] = own
            return train(self.datalist, self.output_dir, config=path, **self.options)

    def _settings(self) -> dict[str, Any]:
        bundle = Bundle.load(self.bundle_root)
        student = bundle.student.config
        own: dict[str, dict[str, Any]] = {
            "data": {
                "size": _size_of(bundle),
                "doses": self.settings.get("method") != "none",
            },  # low doses teach teachers
            "student": student.to_dict(),
            "student_stage": {"initial": str(self.bundle_root.resolve())},
        }
        if student.cbam:
            own["teacher"] = {
                "width": student.widths[-1],
                "cbam_kernel": student.cbam_kernel,
                "cbam_ratio": student.cbam_ratio,
            }
        merged = {name: {**section, **self.settings.get(name, {})} for name, section in own.items()}
        return {**self.settings, **merged}


def _size_of(bundle: Bundle) -> str:
    grid = (bundle.preparation.shape, bundle.preparation.spacing_mm)
    for size in SIZES:
        known = preparation_of(size, bundle.task)
        if (known.shape, known.spacing_mm) == grid:
            return size
    raise UsageError("The model's grid is none that a training has; train a new model with `reactkd-train train`.")
