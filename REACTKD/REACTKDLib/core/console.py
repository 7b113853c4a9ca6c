"""A command line in one sentence, and text for a terminal or a pipe that does not hold every letter, as on Windows."""

from __future__ import annotations

import argparse
import sys
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn, TextIO

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.text import sentence

#: exit status of a command that Ctrl-C has ended, as shells give it: 128 and the number of the signal
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Raises instead of printing the usage and leaving; an option that is not known is told before one that is missing,
    since the one may be the other with a slip.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """As argparse does, but what is not known is told here, with the help of the command. Raises: UsageError."""
        args = sys.argv[1:] if args is None else list(args)
        for option in (word.partition("=")[0] for word in takewhile(self._is_own, args)):
            if option.startswith("--") and option not in self._option_string_actions:
                self.error(f"unrecognized arguments: {option}{self._meant(option)}")
        found, extra = super().parse_known_args(args, namespace)
        if extra:
            self.error(f"unrecognized arguments: {' '.join(extra)} (an option takes one value unless its help says so)")
        return found, extra

    def _is_own(self, word: str) -> bool:
        """False for a command, or what stands where one must: what follows is its own."""
        commands = [action for action in self._actions if action.nargs == argparse.PARSER]
        if any(action.required for action in commands) and not word.startswith("-"):
            return False
        return word != "--" and not any(word in action.choices for action in commands)

    def _meant(self, option: str) -> str:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        alike = [name for name in known if name.startswith(option)] or get_close_matches(option, known, 1, 0.75)
        return f" (did you mean {alike[0]}?)" if alike else ""

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
