"""Command line of the training library: `python -m REACTKDTrainLib COMMAND`; `COMMANDS` lists the commands.

Exit status: 0 finished; 2 (train and study: 1) an error, with one plain sentence on standard error; 130 after Ctrl-C; 3
a training that was stopped, also by Ctrl-C, and can be resumed; 4 low-dose that left out some cases. Tracebacks are
shown only with REACTKD_DEBUG=1.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from REACTKDLib import __version__
from REACTKDLib.core.console import INTERRUPTED, Parser, escape_what_cannot_be_shown, program, told_if_not_printed
from REACTKDLib.core.garbage import end_without_collection
from REACTKDLib.core.log import DEBUG
from REACTKDTrainLib.commands.faults import explain

#: command -> its purpose; the command's file in `commands` is imported only when the command is called
COMMANDS = {
    "train": "train teachers and students on a cohort",
    "cohorts": "open and check cohorts before training, and write lists of their cases",
    "low-dose": "simulate a CT at a fraction of its dose",
    "study": "repeat the experiments of the paper",
    "compare": "compare two runs, methods or students on the same patients",
    "readers": "evaluate the readers of a list and reader studies",
    "release": "build the shipped model, and evaluate models on simulated lesions in real scans",
}
FAILED = {"train": 1, "study": 1}


def build_parser(chosen: str = "") -> Parser:
    """Return the parser of all commands, with the options of the chosen one; `parse_args(...).run` executes it."""
    description = "Trains and evaluates REACT-KD models (arXiv 2508.02104)."
    parser = Parser(prog=program("reactkd-train", "REACTKDTrainLib"), description=description)
    parser.add_argument("--version", action="version", version=f"REACTKD {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if name == chosen:
            module = import_module(f"REACTKDTrainLib.commands.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = arguments[0] if arguments else ""
    escape_what_cannot_be_shown()
    debug = bool(os.environ.get(DEBUG))
    if not debug:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    options, status = None, FAILED.get(command, 2)
    try:
        with warnings.catch_warnings(), told_if_not_printed():
            if not debug:
                warnings.simplefilter("ignore")  # Slicer would show a library's warning as an error
            options = build_parser(command).parse_args(arguments)
            status = options.run(options) or 0
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output has closed the pipe, such as `head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - closed with the process
        return 0
    except KeyboardInterrupt:
        status, text = INTERRUPTED, "Stopped; what was finished is kept, and nothing is half-written."
    except Exception as error:  # for any error, the user gets one sentence
        output = getattr(options, "output", None) if command == "train" else None
        text = explain(error, output, f"the command {command}")
        if debug:
            raise
    process = os.environ.get("RANK", "0")  # torchrun ends all processes when one fails, so each reports
    print(text if process == "0" else f"Process {process}: {text}", file=sys.stderr, flush=True)
    return status


def command(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m REACTKDTrainLib`, of the installed command, and of Slicer's command line module."""
    end_without_collection()
    return main(arguments)


if __name__ == "__main__":
    sys.exit(command())
