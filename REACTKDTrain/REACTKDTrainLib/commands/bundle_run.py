"""Entry point of `configs/train.json` in a model folder: continues the training of its student on a datalist.

The configuration refers to this class by name, and bundles are shared, so its name and arguments must not change.
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
    """Continues the training of a bundle's student by `REACTKDTrainLib.train`; the bundle itself is not changed.

    Args:
            bundle_root: the model folder with the initial weights.
            datalist: graded cases, as for `train`.
            output_dir: the folder of the run; the new model is `bundle` in it.
            device: 'auto', 'cpu', 'cuda' or 'cuda:1'.
            max_epochs: epochs over the training cases, if `settings` contain neither epochs nor steps.
            folds: of cross-validation.
            method: distillation method; 'none' trains on the grades alone, any other one trains teachers first.
            settings: of a training, as in the file for `--config`; defaults are those of the grid's size. Its folds and
                method take precedence over the arguments.

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
        """Train. Raises: see `train`; UsageError for a grid that is not supported in training."""
        with TemporaryDirectory(prefix="reactkd-") as folder:  # run.json of the run records them
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
            },  # low doses are for training teachers
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
