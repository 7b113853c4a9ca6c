"""`train`: all fields of `RunOptions` as options, for use in a shell, from Slicer and under torchrun.

Progress goes to standard output: as Slicer's tags if Slicer requests return parameters, as a bar on a terminal, as
lines in a file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.core.engine_arguments import add_old_jobs_argument, jobs_of
from REACTKDLib.core.progress import OnProgress
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.progress import ProgressDisplay, display_for
from REACTKDTrainLib.settings import schema_of
from REACTKDTrainLib.training.options import GROUPS, options_from, parameters
from REACTKDTrainLib.training.packages import missing_packages

if TYPE_CHECKING:
    from REACTKDTrainLib.training.outputs import Result

STOPPED = 3
EXAMPLE = 'To try it: train --cohort "phantom:hospital?cases=24&size=tiny" --output my-run'
TYPES = {"integer": int, "boolean": bool, "string": str}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add an option for each parameter; both --teacherEpochs, as Slicer spells it, and --teacher-epochs work."""
    parser.epilog = EXAMPLE
    parser.allow_abbrev = False
    for group, (about, _) in GROUPS.items():
        heading = parser.add_argument_group(group.lower(), about)
        for name, parameter in parameters().items():
            if parameter["group"] == group:
                _add_parameter(heading, name, parameter)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="read every case, print what was found and an estimate of time and memory, and stop; nothing is written",
    )
    add_old_jobs_argument(parser)
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of a configuration file")
    parser.add_argument("--returnparameterfile", help=argparse.SUPPRESS)


def _add_parameter(group: Any, name: str, parameter: dict[str, Any]) -> None:
    kind = TYPES[parameter["type"]]
    given = {"dest": name, "help": parameter["description"].replace("%", "%%")}
    if kind is bool:
        given["action"] = "store_true"
    else:
        file = parameter.get("element", "").upper()
        metavar = None if parameter["enum"] else "N" if kind is int else file if file not in ("", "STRING") else "TEXT"
        several = {"nargs": "+", "action": _Joined} if parameter.get("several") else {}
        given |= several | {"type": kind, "choices": parameter["enum"], "metavar": metavar}
        given["default"] = None if parameter["default"] == "" else parameter["default"]
    flag = re.sub("[A-Z]", lambda capital: f"-{capital.group().lower()}", name)
    group.add_argument(f"--{flag}", **given)
    if flag != name:
        group.add_argument(f"--{name}", **given | {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS})


class _Joined(argparse.Action):
    """Joins several words into one parameter with commas, as Slicer passes it."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        setattr(namespace, self.dest, ",".join(values))


def run(options: argparse.Namespace) -> int:
    """Train; returns 3 if the training was stopped. Raises: ReactkdError, ModuleNotFoundError."""
    if options.schema:
        from REACTKDTrainLib.training.config import TrainingConfig

        print(json.dumps(schema_of(TrainingConfig), indent=1))
        return 0
    lacking = missing_packages()
    if lacking:
        raise ModuleNotFoundError(name=lacking[0])
    if options.old_jobs is not None:
        options.jobs = jobs_of(argparse.Namespace(jobs=None, old_jobs=options.old_jobs))
    if options.dry_run:
        from REACTKDTrainLib.training.dry_run import dry_run

        with display_for(sys.stderr) as display:
            lines = dry_run(options_from(vars(options)), display)
        print("\n".join(lines), flush=True)
        return 0
    with make_display(bool(options.returnparameterfile)) as display:
        text, status = _train(options, display)
    if is_first():
        print(text, flush=True)
    return status


def _train(options: argparse.Namespace, on_progress: OnProgress) -> tuple[str, int]:
    """Return (final message, exit status)."""
    from REACTKDTrainLib.training.stop import Stopped

    try:
        result = train(vars(options), on_progress)
    except (Stopped, KeyboardInterrupt) as stopped:
        return str(stopped) or "Stopped before anything was done.", STOPPED
    if options.returnparameterfile:
        write_results(options.returnparameterfile, result)
    return f"Done: {result.summary()}", 0


def train(values: dict[str, Any], on_progress: OnProgress) -> Result:
    """Run the training; signals stop it like a STOP file."""
    options = options_from(values)  # a wrong option is refused before PyTorch is loaded, which takes seconds
    from REACTKDTrainLib.training.experiment import run_experiment

    stop_on_signals(options.output)
    return run_experiment(options, on_progress)


def make_display(in_slicer: bool) -> ProgressDisplay:
    """Return the progress display for the reader of standard output; of several processes only the first prints."""
    if not is_first():
        return ProgressDisplay(sys.stdout, "none")
    return ProgressDisplay(sys.stdout, "slicer", "REACTKDTrain") if in_slicer else display_for(sys.stdout, "lines")


def is_first() -> bool:
    """Return True for the first of the processes that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def stop_on_signals(output: Path) -> None:
    """Make a signal request a clean stop through the STOP file; a second one ends the process at once."""

    def ask(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        Path(output).mkdir(parents=True, exist_ok=True)
        (Path(output) / "STOP").touch()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)


def write_results(path: str, result: Result) -> None:
    """Write the return parameters for Slicer; values that were not measured are omitted."""
    bundle = result.bundle and os.path.abspath(result.bundle)
    values = {"macroAUC": result.macro_auc, "accuracy": result.accuracy, "bundle": bundle}
    write_text(path, "".join(f"{name} = {value}\n" for name, value in values.items() if value is not None))
