"""What a user gives to start a run: one field for each parameter of the command line and of REACTKDTrain.xml.

Both are made from these fields; `make lists` writes the XML.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.distillation.methods import METHODS
from REACTKDTrainLib.settings import schema_of, settings

if TYPE_CHECKING:
    from REACTKDTrainLib.training.config import TrainingConfig

#: headings of the parameters -> what they are about
GROUPS = {
    "Cases": "What is trained on, and where the results go.",
    "Training": "0 keeps what the configuration says.",
    "How to run": "Device, processes, resuming.",
}
#: of a panel's sliders; a shell and a configuration may go beyond
_EPOCHS, _BATCH = {"maximum": 10000}, {"maximum": 1024}


def _parameter(group: str, title: str, description: str, **more: Any) -> Any:
    """more: of the JSON schema: 'element' of the XML where the type does not say it, limits of a panel's slider."""
    return Field(title=title, description=description, json_schema_extra={"group": group, **more})


@settings(alias_generator=to_camel)
class RunOptions:
    """cohort: what to train on, see `open_cohort`. The others say what they are; configuration: see `training_config`.

    Raises: UsageError that names the parameter.
    """

    cohort: Annotated[
        str,
        _parameter(
            "Cases",
            "Cohort",
            "Graded cases: a folder, a datalist (.json), a worklist (.csv) with a grade column, or digital phantoms as "
            "phantom:hospital?cases=24&size=tiny.",
        ),
    ] = ""
    output: Annotated[
        Path,
        _parameter(
            "Cases",
            "Output folder",
            "Everything is written here: run.json, logs, checkpoints, predictions, measures, figures, and the model in "
            "bundle. A file named STOP in it ends the run after the current step.",
            element="directory",
        ),
    ] = Path()
    unlabeled: Annotated[
        str,
        _parameter(
            "Cases",
            "Unlabeled CT",
            "CT without grades (for example LiTS17, or phantom:unlabeled), on which the dose branch of the teacher "
            "learns consistency. May be empty.",
        ),
    ] = ""
    external: Annotated[
        str,
        _parameter(
            "Cases",
            "External cohort",
            "Graded cases of another source that are only tested on, once, at the end. May be empty.",
        ),
    ] = ""
    stage: Annotated[
        Literal["both", "teacher", "student"],
        _parameter(
            "Training",
            "Stage",
            "Train the teachers, the student (with teachers that are in the output folder), or both.",
        ),
    ] = "both"
    method: Annotated[
        str,
        _parameter(
            "Training",
            "Method",
            f"How the student learns from the teachers: {', '.join(METHODS[:-1])} or {METHODS[-1]} (the default). A "
            "method that compares features alone takes +kd behind its name, which adds the term on logits.",
        ),
    ] = ""
    folds: Annotated[
        int,
        Field(ge=0),
        _parameter(
            "Training",
            "Folds",
            "Folds of the cross-validation by patient; 1 trains once on all cases and tests on the external cohort "
            "alone.",
            maximum=20,
        ),
    ] = 0
    fold: Annotated[
        int,
        Field(ge=-1),
        _parameter("Training", "Fold", "Run this fold alone, counted from 0; -1 runs all.", maximum=19),
    ] = -1
    teacher_epochs: Annotated[
        int,
        Field(ge=0),
        _parameter("Training", "Teacher epochs", "Passes over the training cases for the teachers.", **_EPOCHS),
    ] = 0
    student_epochs: Annotated[
        int,
        Field(ge=0),
        _parameter("Training", "Student epochs", "Passes over the training cases for the student.", **_EPOCHS),
    ] = 0
    teacher_batch: Annotated[
        int,
        Field(ge=0),
        _parameter("Training", "Teacher batch", "Cases in a step of the teachers, over all processes.", **_BATCH),
    ] = 0
    student_batch: Annotated[
        int,
        Field(ge=0),
        _parameter("Training", "Student batch", "Cases in a step of the student, over all processes.", **_BATCH),
    ] = 0
    config: Annotated[
        Path | None,
        _parameter(
            "Training",
            "Configuration",
            "A JSON file of settings; what it does not say stays as it suits the size of the cases. run.json of a "
            "finished run shows all settings.",
            element="file",
            extensions=".json",
        ),
    ] = None
    device: Annotated[str, _parameter("How to run", "Device", "auto, cpu, cuda, or cuda:1.")] = "auto"
    workers: Annotated[
        int, Field(ge=1), _parameter("How to run", "Workers", "Processes that prepare cases.", maximum=256)
    ] = 1
    seed: Annotated[
        int, _parameter("How to run", "Seed", "Of everything random; -1 keeps what the configuration says.")
    ] = -1
    resume: Annotated[
        bool,
        _parameter(
            "How to run",
            "Resume",
            "Go on with the run in the output folder; the result is the same as if it had never stopped.",
        ),
    ] = False
    skip_unreadable: Annotated[
        bool,
        _parameter(
            "How to run",
            "Skip unreadable cases",
            "Leave out cases that cannot be read, and list them in run.json, instead of stopping.",
        ),
    ] = False
    cache: Annotated[
        Path | None,
        _parameter(
            "How to run",
            "Cache",
            "A folder for prepared cases and teachers' answers that several runs may share; by default inside the "
            "output folder.",
            element="string",
        ),
    ] = None

    def __post_init__(self) -> None:
        if not self.cohort.strip():
            raise UsageError("No cohort was given; give a folder, a datalist, or phantom:hospital to try things out.")
        if not str(self.output).strip() or str(self.output) == ".":
            raise UsageError("No output folder was given; name one for the results.")
        if self.method:
            from REACTKDTrainLib.distillation.distiller import check_method

            check_method(self.method)
        if self.output.exists() and not self.output.is_dir():
            raise UsageError("The output is a file; give a folder.")

    def training_config(self, size: str) -> TrainingConfig:
        """All settings: those of a size, changed by the configuration file, then by these options.

        Raises: UsageError that names the setting.
        """
        from REACTKDTrainLib.training.config import TrainingConfig

        config = TrainingConfig.for_size(size)
        if self.config is not None:
            config = TrainingConfig.read(self.config, config)
        given: dict[str, Any] = {"method": self.method, "folds": self.folds}
        given = {name: value for name, value in given.items() if value}
        if self.seed >= 0:
            given["seed"] = self.seed
        for stage in ("teacher", "student"):
            changes = {name: getattr(self, f"{stage}_{name}") for name in ("epochs", "batch")}
            given[f"{stage}_stage"] = {name: value for name, value in changes.items() if value}
        return TrainingConfig.from_dict(given, config)


def options_from(values: Mapping[str, Any]) -> RunOptions:
    """From the parameters of the command line, by their names there ('teacherEpochs'). Raises: UsageError."""
    known = parameters()
    chosen = {name: value for name, value in values.items() if name in known and value not in (None, "")}
    paths = {name: Path(value) for name, value in chosen.items() if known[name]["format"] == "path"}
    return RunOptions(**chosen | paths)


def parameters() -> dict[str, dict[str, Any]]:
    """Name in Slicer -> title, description, group, element of the XML, type, format, default, enum, limits."""
    found = {}
    for name, schema in schema_of(RunOptions)["properties"].items():
        typed = schema | next(iter(schema.get("anyOf", ())), {})  # of "a path or nothing" the path
        default = typed["default"] if typed["default"] not in (None, ".") else ""
        found[name] = {"format": None, "enum": None, **typed, "default": default}
    return found
