"""The command line of training: `python -m REACTKDTrainLib COMMAND`, where `COMMANDS` names the commands.

Exit status: 0 done; 2, or 1 of train and study, with one plain sentence on standard error; 130 after Ctrl-C; 3 of a
training that was stopped, by Ctrl-C too, and can go on. A traceback appears only with REACTKD_DEBUG=1.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from REACTKDLib import __version__
from REACTKDLib.core.console import INTERRUPTED, Parser, escape_what_cannot_be_shown, program
from REACTKDLib.core.log import DEBUG
from REACTKDTrainLib.commands.faults import explain

#: command -> what it is for; its file in `commands` is loaded only when it is called
COMMANDS = {
    "train": "train teachers and students on a cohort",
    "cohorts": "look at real cohorts before training, and list their cases",
    "low-dose": "simulate a CT at a fraction of its dose",
    "study": "rerun the paper's experiments",
    "compare": "say whether one student is better than another",
    "readers": "say how well readers of a list agree, and what a reader study found",
    "release": "make the shipped model",
}
FAILED = {"train": 1, "study": 1}


def build_parser(chosen: str = "") -> Parser:
    """The parser of all commands, with the options of the chosen one; `parse_args(...).run` does what it says."""
    description = "Trains REACT-KD (arXiv 2508.02104), and what belongs to it."
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
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")  # a library's warning is no error, and Slicer shows it as one
            options = build_parser(command).parse_args(arguments)
            status = options.run(options) or 0
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - closed with the process
        return 0
    except KeyboardInterrupt:
        status, text = INTERRUPTED, "Stopped; what was finished is kept, and nothing is half-written."
    except Exception as error:  # whatever it is, a user reads one sentence
        text = explain(
            error, getattr(options, "output", None) if command == "train" else None, f"the command {command}"
        )
        if debug:
            raise
    process = os.environ.get("RANK", "0")  # torchrun ends the others when one has failed, so each says it
    print(text if process == "0" else f"Process {process}: {text}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
