"""A command line in one sentence, and text for a terminal or a pipe that does not hold every letter, as on Windows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn, TextIO

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.text import sentence

#: exit status of a command that Ctrl-C has ended, as shells give it: 128 and the number of the signal
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Raises instead of printing the usage and leaving."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's message and where to read more."""
        raise UsageError(sentence(f"{message}; '{self.prog} --help' lists what is possible."))


def program(command: str, package: str) -> str:
    """Return how this program was called, for its help and its errors: the installed command, or Python's -m."""
    called = sys.argv[0] or ""  # a module without a file has none
    return command if Path(called).stem == command else f"python -m {package}"


def escape_what_cannot_be_shown() -> None:
    """Have standard output write "\\u738b" for a letter that it does not hold, as standard error does, not raise."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # another program may have put a stream of its own there
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def writable(text: str, stream: TextIO) -> str:
    """Return `text` with what `stream` does not hold as escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
