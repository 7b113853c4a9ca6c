"""Options of a run: one field for each parameter of the command line and of REACTKDTrain.xml.

Both are generated from these fields; `make lists` writes the XML.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDTrainLib.distillation.methods import METHODS
from REACTKDTrainLib.settings import schema_of, settings

if TYPE_CHECKING:
    from REACTKDTrainLib.training.config import TrainingConfig

#: heading -> its description, and its parameters: title in Slicer, description
GROUPS = {
    "Cases": (
        "Training data and output.",
        {
            "cohort": (
                "Cohort",
                "Graded cases: a folder, a datalist (.json), a worklist (.csv) with a grade column, or digital "
                "phantoms as phantom:hospital?cases=24&size=tiny.",
            ),
            "map": (
                "Grades mean",
                "The meaning of the grades if the lists use other words than the task, such as "
                "G1=well,G2=moderate,G3=poor. May be empty.",
            ),
            "output": (
                "Output folder",
                "Everything is written here: run.json, logs, checkpoints, predictions, measures, figures, and the "
                "model in bundle. A file named STOP in it ends the run after the current step.",
            ),
            "unlabeled": (
                "Unlabeled CT",
                "CT without grades (for example LiTS17, or phantom:unlabeled) for the consistency loss of the "
                "teacher's dose branch. May be empty.",
            ),
            "task": (
                "Task",
                "A task file (.json), which defines the organ, its lesions and the classes. Empty: grades of "
                "hepatocellular carcinoma.",
            ),
            "external": (
                "External cohort",
                "Graded cases of another source for one external test at the end. May be empty.",
            ),
        },
    ),
    "Training": (
        "For folds, epochs and batches, 0 keeps the value of the configuration.",
        {
            "stage": (
                "Stage",
                "Train the teachers, the student (with the teachers in the output folder), or both.",
            ),
            "method": (
                "Method",
                f"The distillation method: {', '.join(METHODS[:-1])} or {METHODS[-1]} (the default). "
                "Append +kd to a method that compares only features to add the term on logits.",
            ),
            "folds": (
                "Folds",
                "Cross-validation folds, split by patient; 1 trains once on all cases and tests on the external "
                "cohort only.",
            ),
            "fold": ("Fold", "Run only this fold, counted from 0; -1 runs all."),
            "teacherEpochs": ("Teacher epochs", "Passes over the training cases for the teachers."),
            "studentEpochs": ("Student epochs", "Passes over the training cases for the student."),
            "teacherBatch": ("Teacher batch", "Cases in a step of the teachers, over all processes."),
            "studentBatch": ("Student batch", "Cases in a step of the student, over all processes."),
            "config": (
                "Configuration",
                "A JSON file of settings; other settings keep their defaults for the size of the cases. run.json of "
                "a finished run shows all settings.",
            ),
        },
    ),
    "How to run": (
        "Device, processes, resuming.",
        {
            "device": ("Device", "auto, cpu, cuda, or cuda:1."),
            "jobs": ("Jobs", "Number of processes that prepare cases in parallel."),
            "seed": ("Seed", "Seed of all random numbers; -1 keeps the value of the configuration."),
            "resume": (
                "Resume",
                "Continue the run in the output folder; the result is that of an uninterrupted run.",
            ),
            "skipUnreadable": (
                "Skip unreadable cases",
                "Skip cases that cannot be read, or that have a grade but no lesion, and list them in run.json, "
                "instead of stopping.",
            ),
            "loggers": (
                "Loggers",
                "tensorboard, mlflow, or both, separated by a comma: also log the contents of log.csv there, on this "
                "computer. May be empty.",
            ),
            "cache": (
                "Cache",
                "A folder for prepared cases and teachers' outputs that several runs can share; by default inside "
                "the output folder.",
            ),
        },
    ),
}

_NotNegative = Annotated[int, Field(ge=0)]
_Epochs = Annotated[_NotNegative, Field(json_schema_extra={"maximum": 10000})]  # limits the slider of the panel only
_Batch = Annotated[_NotNegative, Field(json_schema_extra={"maximum": 1024})]


@settings(alias_generator=to_camel)
class RunOptions:
    """The fields are described in `GROUPS`; cohort: see `open_cohort`; config: see `training_config`.

    Raises: UsageError that names the parameter.
    """

    cohort: str = ""
    output: Annotated[Path, Field(json_schema_extra={"element": "directory"})] = Path()
    unlabeled: str = ""
    task: Annotated[Path | None, Field(json_schema_extra={"element": "file", "extensions": ".json"})] = None
    external: str = ""
    map: Annotated[str, Field(json_schema_extra={"several": True})] = ""
    stage: Literal["both", "teacher", "student"] = "both"
    method: str = ""
    folds: Annotated[_NotNegative, Field(json_schema_extra={"maximum": 20})] = 0
    fold: Annotated[int, Field(ge=-1, json_schema_extra={"maximum": 19})] = -1
    teacher_epochs: _Epochs = 0
    student_epochs: _Epochs = 0
    teacher_batch: _Batch = 0
    student_batch: _Batch = 0
    config: Annotated[Path | None, Field(json_schema_extra={"element": "file", "extensions": ".json"})] = None
    device: str = "auto"
    jobs: Annotated[int, Field(ge=1, json_schema_extra={"maximum": 256})] = 1
    seed: Annotated[int, Field(ge=-1)] = -1
    resume: bool = False
    skip_unreadable: bool = False
    loggers: str = ""
    cache: Annotated[Path | None, Field(json_schema_extra={"element": "string"})] = None

    def __post_init__(self) -> None:
        if not self.cohort.strip():
            raise UsageError("No cohort was given; give a folder, a datalist, or phantom:hospital to try things out.")
        if not str(self.output).strip() or str(self.output) == ".":
            raise UsageError("No output folder was given; name one for the results.")
        if self.method:
            from REACTKDTrainLib.distillation.distiller import check_method

            check_method(self.method)
        if self.map:
            from REACTKDTrainLib.cohorts.grade_words import GradeWords

            GradeWords.from_text(self.map)
        if self.loggers:
            from REACTKDTrainLib.training.loggers import logger_names

            logger_names(self.loggers)
        if self.output.exists() and not self.output.is_dir():
            raise UsageError("The output is a file; give a folder.")

    def read_task(self) -> Task:
        """Return the task: organ, lesions and classes. Raises: FileMissing, TaskNotValid."""
        return HCC_GRADE if self.task is None else Task.read(self.task)

    def training_config(self, size: str, task: Task = HCC_GRADE) -> TrainingConfig:
        """Return all settings: those of a size and a task, changed by the configuration file, then by these options.

        Raises: UsageError that names the setting.
        """
        from REACTKDTrainLib.training.config import TrainingConfig

        config = TrainingConfig.for_size(size).for_task(task)
        if self.config is not None:
            config = TrainingConfig.read(self.config, config)
        given: dict[str, Any] = {"method": self.method, "folds": self.folds}
        given = {name: value for name, value in given.items() if value}
        if self.seed >= 0:
            given["seed"] = self.seed
        for stage in ("teacher", "student"):
            changes = {name: getattr(self, f"{stage}_{name}") for name in ("epochs", "batch")}
            given[f"{stage}_stage"] = {name: value for name, value in changes.items() if value}
            if changes["epochs"]:
                given[f"{stage}_stage"]["steps"] = 0  # steps would replace the epochs
        return TrainingConfig.from_dict(given, config)


def options_from(values: Mapping[str, Any]) -> RunOptions:
    """Build from parameters by their names on the command line ('teacherEpochs'). Raises: UsageError."""
    known = parameters()
    chosen = {name: value for name, value in values.items() if name in known and value not in (None, "")}
    paths = {name: Path(value) for name, value in chosen.items() if known[name]["format"] == "path"}
    return RunOptions(**chosen | paths)


def parameters() -> dict[str, dict[str, Any]]:
    """Name in Slicer -> title, description, group, element of the XML, type, format, default, enum, limits."""
    schemas, found = schema_of(RunOptions)["properties"], {}
    for group, (_, own) in GROUPS.items():
        for name, (title, description) in own.items():
            schema = schemas[name]
            typed = schema | next(iter(schema.get("anyOf", ())), {})  # for "a path or nothing", the path
            typed |= {"group": group, "title": title, "description": description}
            default = typed["default"] if typed["default"] not in (None, ".") else ""
            found[name] = {"format": None, "enum": None, **typed, "default": default}
    return found
