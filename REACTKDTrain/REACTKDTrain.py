#!/usr/bin/env python-real
"""Trains REACT-KD: as a command line module of 3D Slicer, from a shell, or under torchrun on several processes.

    python REACTKDTrain.py --cohort "phantom:hospital?cases=24&size=tiny" --output my-run

The parameters are those of REACTKDTrain.xml, from which the command line is made. Progress goes to standard output:
in Slicer's tags when Slicer asks for return parameters, as one line on a terminal, as lines in a file. Standard error
carries errors alone, each one sentence. Exit status: 0 done, 1 an error, 3 stopped (go on with --resume).
"""

import argparse
import os
import re
import signal
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
DESCRIPTION = HERE / "REACTKDTrain.xml"
KINDS = {"integer": int, "boolean": bool, "directory": str, "file": str, "string": str, "string-enumeration": str}
DONE, FAILED, STOPPED = 0, 1, 3
EXAMPLE = 'To try it: REACTKDTrain.py --cohort "phantom:hospital?cases=24&size=tiny" --output my-run'


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one sentence."""

    def error(self, message):
        self.exit(failed(f"{message[0].upper()}{message[1:]}; see --help."))


def command_line(description=DESCRIPTION):
    """The parser of the parameters in the XML; --teacherEpochs, as Slicer spells it, and --teacher-epochs both work."""
    parser = Parser(prog="REACTKDTrain.py", description=__doc__.split("\n")[0], epilog=EXAMPLE, allow_abbrev=False)
    for elements in ElementTree.parse(description).getroot().iterfind("parameters"):
        group = parser.add_argument_group(elements.findtext("label").lower(), elements.findtext("description"))
        for element in elements:
            if element.tag in KINDS and element.findtext("channel") != "output":
                add_parameter(group, element)
    parser.add_argument("--returnparameterfile", help=argparse.SUPPRESS)
    parser.add_argument("--xml", action="store_true", help="print the description that Slicer reads")
    return parser


def add_parameter(group, element):
    """One element of the XML as an option."""
    name, kind, default = element.findtext("longflag"), KINDS[element.tag], element.findtext("default") or ""
    spoken = re.sub(r"[A-Z]", lambda capital: f"-{capital.group().lower()}", name)
    told = {"dest": name, "help": " ".join(element.findtext("description").split()).replace("%", "%%")}
    if kind is bool:
        told["action"] = "store_true"
    else:
        choices = [choice.text for choice in element.iterfind("element")] or None
        metavar = None if choices else {"integer": "N", "string": "TEXT"}.get(element.tag, element.tag.upper())
        told |= {"type": kind, "default": kind(default) if default else None, "choices": choices, "metavar": metavar}
    group.add_argument(f"--{spoken}", **told)
    if spoken != name:
        group.add_argument(f"--{name}", **told | {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS})


def find_library():
    """Put both libraries on the path, of an installed or built extension or of a source checkout; True when found."""
    if (HERE / "REACTKDTrainLib").is_dir():
        places = [HERE, HERE.parent / "REACTKD"]
    else:
        places = [HERE.parent / "qt-scripted-modules", HERE.parents[1] / "qt-scripted-modules"]
    sys.path[:0] = [str(place) for place in places if place.is_dir()]
    try:
        import REACTKDLib  # noqa: F401
        import REACTKDTrainLib  # noqa: F401
    except ImportError:
        return False
    return True


def main(arguments):
    """Run what the arguments say; returns the exit status."""
    options = command_line().parse_args(arguments)
    if options.xml:
        print(DESCRIPTION.read_text(encoding="utf-8"), end="")
        return DONE
    if not find_library():
        return failed("The REACTKD library was not found; install the extension again, or run it from a checkout.")
    from REACTKDTrainLib.training.packages import how_to_install, missing_packages

    lacking = missing_packages()
    if lacking:
        return failed(how_to_install(lacking))
    return train(options)


def train(options):
    """Load the library, which takes seconds, and run; whatever happens, a user reads one sentence."""
    from REACTKDLib.core.console import escape_what_cannot_be_shown
    from REACTKDTrainLib.training.faults import explain
    from REACTKDTrainLib.training.stop import Stopped

    escape_what_cannot_be_shown()
    debug = bool(os.environ.get("REACTKD_DEBUG"))
    if not debug:
        warnings.simplefilter("ignore")  # a library's warning is no error, and Slicer shows it as one
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    teller = make_teller(bool(options.returnparameterfile))
    try:
        teller.start()
        result = run(vars(options), teller)
        if options.returnparameterfile:
            write_results(options.returnparameterfile, result)
    except (Stopped, KeyboardInterrupt) as stopped:
        teller.end(str(stopped) or "Stopped before anything was done.")
        return STOPPED
    except Exception as error:
        teller.end()
        text = explain(error, options.output)
        if debug:
            raise
        return failed(text)
    teller.end(f"Done: {result.summary()}")
    return DONE


def run(parameters, teller):
    """The training itself, ended by signals as by a STOP file."""
    from REACTKDTrainLib.training.experiment import run_experiment
    from REACTKDTrainLib.training.options import options_from

    options = options_from(parameters)
    stop_on_signals(options.output)
    return run_experiment(options, teller)


def make_teller(in_slicer):
    """Progress as the reader of standard output wants it; of several processes the first tells."""
    from REACTKDTrainLib.training.telling import Teller

    if process():
        return Teller(open(os.devnull, "w"), "file")  # noqa: SIM115 - open as long as the process
    return Teller(sys.stdout, "slicer" if in_slicer else "terminal" if sys.stdout.isatty() else "file")


def process():
    """The number of this process among those that torchrun started."""
    return int(os.environ.get("RANK") or 0)


def stop_on_signals(output):
    """A signal asks for a clean stop, by the STOP file; a second one ends the process at once."""

    def ask(number, _frame):
        signal.signal(number, signal.SIG_DFL)
        Path(output).mkdir(parents=True, exist_ok=True)
        (Path(output) / "STOP").touch()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)


def write_results(path, result):
    """The return parameters, as Slicer reads them; what was not measured is left out."""
    bundle = result.bundle and os.path.abspath(result.bundle)
    from REACTKDLib.core.writing.atomic import write_text

    told = {"macroAUC": result.macro_auc, "accuracy": result.accuracy, "bundle": bundle}
    text = "".join(f"{name} = {value}\n" for name, value in told.items() if value is not None)
    write_text(path, text)


def failed(sentence):
    """Say it; every process does, since torchrun ends the others when one of them has failed."""
    print(f"Process {process()}: {sentence}" if process() else sentence, file=sys.stderr, flush=True)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
