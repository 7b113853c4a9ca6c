"""The command line: `python -m REACTKDLib grade | batch | check | prepare | phantom`.

The exit status is 0 on success, 4 after a batch in which some cases failed, 130 after Ctrl-C, and 2 after any other
error. An error is printed as one sentence on standard error; a traceback is printed only with REACTKD_DEBUG=1.
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
from REACTKDLib.core.console import INTERRUPTED, escape_what_cannot_be_shown, told_if_not_printed
from REACTKDLib.core.errors import Canceled, ReactkdError
from REACTKDLib.core.garbage import end_without_collection
from REACTKDLib.core.log import DEBUG, log_cause, log_unforeseen
from REACTKDLib.core.memory import lacks_memory, out_of_memory
from REACTKDLib.core.text import sentence

FAILED = 2


def main(argv: Sequence[str] | None = None, apart: bool = False) -> int:
    """Run one command and return its exit status. apart: run batch jobs in a separate process, since they may crash."""
    debug = bool(os.environ.get(DEBUG))
    escape_what_cannot_be_shown()
    try:
        with warnings.catch_warnings(), _stopped_by_signal(), told_if_not_printed():
            if not debug:
                warnings.simplefilter("ignore")  # the user should see only our one sentence, not a library's warning
            arguments = build_parser().parse_args(argv)
            arguments.apart = apart
            status = arguments.run(arguments) or 0
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "Stopped; what was not finished is not written.", INTERRUPTED)
    except BrokenPipeError:  # the reader of the pipe has closed it, as `head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - closed with the process
        return 0
    except Exception as error:  # the user sees one sentence, whatever went wrong
        text = _message(error)
        if debug:
            raise
        return _fail(text)
    return status


def _message(error: Exception) -> str:
    if lacks_memory(error):
        return str(out_of_memory())
    if isinstance(error, ReactkdError):
        log_cause(error, "a command")
        return str(error)
    where = log_unforeseen(error, "a command", show=False)
    return f"An unexpected fault stopped the work ({type(error).__name__}); please report it; {where}."


def _fail(text: str, status: int = FAILED) -> int:
    print(sentence(" ".join(text.split())), file=sys.stderr)
    return status


@contextmanager
def _stopped_by_signal() -> Iterator[None]:
    """End the command with a sentence on SIGTERM.

    The previous handler is restored on exit, since Slicer's console calls `main`, too.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)  # None: not set from Python


def _stop(signal_number: int, frame: object) -> None:
    raise Canceled("Stopped from outside; what was not finished is not written.")


def command() -> int:
    """Entry point of `python -m REACTKDLib` and of the installed command `reactkd`."""
    end_without_collection()
    return main(apart=True)


if __name__ == "__main__":
    sys.exit(command())
