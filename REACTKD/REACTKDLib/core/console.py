"""Parser of the command lines, which reports errors in one sentence, and output of characters that a terminal cannot
encode.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn, TextIO

from REACTKDLib.core.errors import OutputNotWritable, UsageError
from REACTKDLib.core.text import sentence
from REACTKDLib.core.text import tr as _

#: exit status of a command ended by Ctrl-C, by the convention of shells: 128 plus the number of the signal
INTERRUPTED = 130
#: exit status of work on many cases of which some failed; 1 is Python's own for a crash, 3 is for a stopped training
SOME_FAILED = 4


class Parser(argparse.ArgumentParser):
    """Parser that raises an error instead of printing the usage and exiting.

    An unknown option is reported before a missing one, since it may be that option misspelled.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """Like argparse, but report an unknown option here, with the help of the command. Raises: UsageError."""
        args = sys.argv[1:] if args is None else list(args)
        for option in (word.partition("=")[0] for word in takewhile(self._is_own, args)):
            if option.startswith("--") and option not in self._option_string_actions:
                self.error(f"unrecognized arguments: {option}{self._meant(option)}")
        found, extra = super().parse_known_args(args, namespace)
        if extra:
            self.error(f"unrecognized arguments: {' '.join(extra)} (an option takes one value unless its help says so)")
        return found, extra

    def _is_own(self, word: str) -> bool:
        """Return False for a subcommand, or a word in its place: what follows belongs to the subcommand."""
        commands = [action for action in self._actions if action.nargs == argparse.PARSER]
        if any(action.required for action in commands) and not word.startswith("-"):
            return False
        return word != "--" and not any(word in action.choices for action in commands)

    def _meant(self, option: str) -> str:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        alike = [name for name in known if name.startswith(option)] or get_close_matches(option, known, 1, 0.75)
        return f" (did you mean {alike[0]}?)" if alike else ""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's message and a hint to the help."""
        raise UsageError(sentence(f"{message}; '{self.prog} --help' lists what is possible."))


def program(command: str, package: str) -> str:
    """Return the name by which this program was called, for its help and errors: the installed command, or python
    -m.
    """
    called = sys.argv[0] or ""  # empty if Python was started without a script
    return command if Path(called).stem == command else f"python -m {package}"


def escape_what_cannot_be_shown() -> None:
    """Make standard output escape a character that it cannot encode ("\\u738b"), as standard error does, instead of
    raising. A stream that the caller has closed is replaced by one that discards its text.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, _discarding())
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # the host program may have replaced the stream
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


@contextmanager
def told_if_not_printed() -> Iterator[None]:
    """Raise OutputNotWritable, not OSError, in the block if standard output cannot be written, such as on a full disk.

    A pipe whose reader has left still raises BrokenPipeError. Standard output is replaced after a fault, since Python
    would try to write the rest of the text when it ends.
    """
    stream = sys.stdout
    sys.stdout = told = _Told(stream)
    try:
        yield
    except OutputNotWritable:
        if told.failed:
            stream = _discarding()
        raise
    finally:
        sys.stdout = stream


class _Told:
    """A text stream whose faults are errors with a sentence. failed: whether there was one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.failed = stream, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._done(self._stream.write, text)

    def flush(self) -> None:
        self._done(self._stream.flush)

    def _done(self, action: Callable[..., Any], *values: str) -> Any:
        try:
            return action(*values)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.failed = True
            raise OutputNotWritable(
                _("Standard output cannot be written ({reason}); files that the command has finished are complete."),
                reason=error.strerror or type(error).__name__,
            ) from error


def _discarding() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # closed with the process


def writable(text: str, stream: TextIO) -> str:
    """Return `text` with the characters that `stream` cannot encode escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
