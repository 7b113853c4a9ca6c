#!/usr/bin/env python-real
"""Trains REACT-KD: as a command line module of 3D Slicer, from a shell, or under torchrun on several processes.

    python REACTKDTrain.py --cohort "phantom:hospital?cases=24&size=tiny" --output my-run

Parameters are those of REACTKDTrain.xml, from which the command line is made. Progress goes to standard output, in
Slicer's form unless that is a terminal; standard error carries errors alone. Exit status: 0 done, 1 an error, 3 stopped
(go on with --resume).
"""

import argparse
import os
import re
import signal
import sys
import time
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
DESCRIPTION = HERE / "REACTKDTrain.xml"
KINDS = {"integer": int, "boolean": bool, "directory": str, "file": str, "string": str, "string-enumeration": str}
DONE, FAILED, STOPPED = 0, 1, 3


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one sentence."""

    def error(self, message):
        self.exit(FAILED, f"{message[0].upper()}{message[1:]}; see --help.\n")


def parameters(description):
    """Those of the XML that a user gives: (name, kind, default, choices, help)."""
    for element in ElementTree.parse(description).getroot().iterfind("parameters/*"):
        if element.tag in KINDS and element.findtext("channel") != "output":
            choices = [choice.text for choice in element.iterfind("element")] or None
            text = " ".join((element.findtext("description") or "").split())
            yield element.findtext("longflag"), element.tag, element.findtext("default") or "", choices, text


def spoken(name):
    """'teacherEpochs' -> 'teacher-epochs', which people type."""
    return re.sub(r"[A-Z]", lambda capital: f"-{capital.group().lower()}", name)


def command_line(description=DESCRIPTION):
    """The parser of the parameters; Slicer's spelling and the usual one with hyphens both work."""
    parser = Parser(prog="REACTKDTrain.py", description=__doc__.split("\n")[0], allow_abbrev=False)
    for name, kind, default, choices, text in parameters(description):
        flags = list(dict.fromkeys([f"--{spoken(name)}", f"--{name}"]))
        text = text.replace("%", "%%")
        if kind == "boolean":
            parser.add_argument(*flags, dest=name, action="store_true", help=text)
        else:
            value = KINDS[kind](default) if default else None if kind in ("file", "directory") else KINDS[kind]()
            parser.add_argument(*flags, dest=name, type=KINDS[kind], default=value, choices=choices, help=text)
    parser.add_argument("--returnparameterfile", help=argparse.SUPPRESS)
    parser.add_argument("--xml", action="store_true", help="print the description that Slicer reads")
    return parser


def find_library():
    """Put REACTKDTrainLib and REACTKDLib on the path: of an installed or built extension, or of a source checkout."""
    places = [HERE / "../qt-scripted-modules", HERE / "../../qt-scripted-modules", HERE / "../REACTKD", HERE]
    for place in reversed([p.resolve() for p in places]):
        if (place / "REACTKDLib").is_dir() or (place / "REACTKDTrainLib").is_dir():
            sys.path.insert(0, str(place))


class Told:
    """Prints progress: tags that Slicer reads, or one line that is written over on a terminal."""

    def __init__(self, stream):
        self._stream, self._terminal = stream, stream.isatty()
        self._last, self._stage, self._fraction, self._width = 0.0, None, -1.0, 0
        self._started = time.monotonic()

    def start(self):
        if not self._terminal:
            self._say("<filter-start><filter-name>REACTKDTrain</filter-name></filter-start>")

    def __call__(self, now):
        """now: engine.progress.Now. At most two lines a second, but every stage and the end."""
        if now.stage == self._stage and now.fraction < 1 and time.monotonic() - self._last < 0.5:
            return
        self._last, self._stage, self._fraction = time.monotonic(), now.stage, now.fraction
        if self._terminal:
            line = f"{100 * now.fraction:5.1f} %  {said(now)}"
            self._stream.write("\r" + line.ljust(self._width))
            self._stream.flush()
            self._width = len(line)
        else:
            self._say(f"<filter-progress>{now.fraction:.4f}</filter-progress>")
            self._say(f"<filter-comment>{said(now)}</filter-comment>")

    def end(self, text):
        if self._terminal:
            self._stream.write("\n")
        else:
            seconds = time.monotonic() - self._started
            self._say(
                f"<filter-end><filter-name>REACTKDTrain</filter-name><filter-time>{seconds:.1f}</filter-time></filter-end>"
            )
        self._say(text)

    def _say(self, line):
        print(line, file=self._stream, flush=True)


def said(now):
    """'fold 1 of 3: student, loss 0.53, 12 min left'."""
    parts = [now.stage]
    if now.loss is not None:
        parts.append(f"loss {now.loss:.3f}")
    if now.seconds_left:
        seconds = now.seconds_left
        whole = (
            f"{seconds / 3600:.1f} h"
            if seconds > 5400
            else f"{seconds / 60:.0f} min"
            if seconds > 90
            else f"{seconds:.0f} s"
        )
        parts.append(f"{whole} left")
    return ", ".join(parts)


def stop_on_signals(output):
    """A signal asks for a clean stop; a second one ends the process at once."""

    def ask(number, _frame):
        signal.signal(number, signal.SIG_DFL)
        Path(output).mkdir(parents=True, exist_ok=True)
        (Path(output) / "STOP").touch()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)


def write_results(path, result):
    """The return parameters that Slicer reads: name = value."""
    told = {"macroAUC": result.macro_auc, "accuracy": result.accuracy, "bundle": result.bundle}
    text = "".join(f"{name} = {value}\n" for name, value in told.items() if value is not None)
    Path(path).write_text(text, encoding="utf-8")


def main(arguments):
    options = command_line().parse_args(arguments)
    if options.xml:
        print(DESCRIPTION.read_text(encoding="utf-8"), end="")
        return DONE
    find_library()
    warnings.simplefilter("ignore")  # standard error is for errors: Slicer shows every line of it as one
    try:
        from REACTKDLib.core.errors import ReactkdError
        from REACTKDTrainLib.engine.stop import Stopped
        from REACTKDTrainLib.run.experiment import run_experiment
        from REACTKDTrainLib.run.options import RunOptions, options_from
    except ModuleNotFoundError as error:
        return failed(missing(error.name or ""))
    told = Told(sys.stdout if os.environ.get("RANK", "0") == "0" else open(os.devnull, "w"))
    try:
        wanted: RunOptions = options_from(vars(options))
        stop_on_signals(wanted.output)
        told.start()
        result = run_experiment(wanted, told)
    except Stopped as stopped:
        told.end(str(stopped))
        return STOPPED
    except ReactkdError as error:
        return failed(str(error))
    if options.returnparameterfile:
        write_results(options.returnparameterfile, result)
    told.end(f"Done: {result.summary()}")
    return DONE


def missing(package):
    """What to install, in one sentence."""
    name = package.split(".")[0]
    if name in ("REACTKDLib", "REACTKDTrainLib"):
        return f"{name} was not found; install the REACTKD extension again, or run the script of a source checkout."
    if name == "torch":
        return (
            "PyTorch is not installed; in Slicer install it by the PyTorch extension, elsewhere by `pip install torch`."
        )
    known = {"sklearn": "scikit-learn", "ot": "POT", "skimage": "scikit-image"}
    return f"The package {known.get(name, name)} is not installed; install it by `pip install {known.get(name, name)}`."


def failed(sentence):
    print(sentence, file=sys.stderr, flush=True)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
