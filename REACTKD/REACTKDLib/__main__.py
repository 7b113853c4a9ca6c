"""The command line: `python -m REACTKDLib grade | batch | check | prepare | phantom`.

Exit status 0; 2, or 130 after Ctrl-C, with one plain sentence on standard error. A traceback appears only with
REACTKD_DEBUG=1.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from REACTKDLib.commands.parser import build_parser
from REACTKDLib.core.console import INTERRUPTED, escape_what_cannot_be_shown
from REACTKDLib.core.errors import Canceled, ReactkdError
from REACTKDLib.core.log import DEBUG, log_cause, log_unforeseen
from REACTKDLib.core.text import sentence

FAILED = 2


def main(argv: Sequence[str] | None = None, apart: bool = False) -> int:
    """Run one command and return the exit status. apart: a batch grades in a process of its own, which may crash."""
    debug = bool(os.environ.get(DEBUG))
    escape_what_cannot_be_shown()
    try:
        with warnings.catch_warnings(), _stopped_by_signal():
            if not debug:
                warnings.simplefilter("ignore")  # a library's warning is not our one sentence
            arguments = build_parser().parse_args(argv)
            arguments.apart = apart
            arguments.run(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "Stopped; what was not finished is not written.", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - closed with the process
        return 0
    except Exception as error:  # whatever it is, a user sees one sentence
        text = _message(error)
        if debug:
            raise
        return _fail(text)
    return 0


def _message(error: Exception) -> str:
    if isinstance(error, ReactkdError):
        log_cause(error, "a command")
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory; close other programs, or use images of a smaller field."
    where = log_unforeseen(error, "a command", show=False)
    return f"An unexpected fault stopped the work ({type(error).__name__}); please report it; {where}."


def _fail(text: str, status: int = FAILED) -> int:
    print(sentence(" ".join(text.split())), file=sys.stderr)
    return status


@contextmanager
def _stopped_by_signal() -> Iterator[None]:
    """SIGTERM ends the command with a sentence. What it did before is put back: Slicer's console calls `main`, too."""
    if threading.current_thread() is not threading.main_thread():  # the only one that may
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)  # None: not set by Python


def _stop(signal_number: int, frame: object) -> None:
    raise Canceled("Stopped from outside; what was not finished is not written.")


def command() -> int:
    """What `python -m REACTKDLib` and the installed `reactkd` run."""
    return main(apart=True)


if __name__ == "__main__":
    sys.exit(command())
