"""A log of unexpected errors in the user's folder: their tracebacks, without patient names or paths.

There is one rotated file per program (`reactkd`, `worker`, `training`), in the operating system's folder for logs;
`REACTKD_LOG_DIR` selects another. A file is opened only when there is something to write. If it cannot be written, the
failure is silent: logging must not cause errors of its own.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from REACTKDLib.core.errors import Canceled
from REACTKDLib.core.plain_traceback import plain_traceback
from REACTKDLib.core.text import tr as _

FOLDER = "REACTKD_LOG_DIR"
DEBUG = "REACTKD_DEBUG"
LARGEST_BYTES, KEPT = 500_000, 3
MAIN, WORKER, TRAINING = "reactkd", "worker", "training"
_LIBRARIES = ("REACTKDLib", "REACTKDTrainLib")


def log_folder() -> Path:
    """Return the folder of the logs: the user's state folder, by the convention of the operating system."""
    stated = os.environ.get(FOLDER)
    if stated:
        return Path(stated)
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "REACTKD" / "Logs"
    if sys.platform == "darwin":
        return home / "Library" / "Logs" / "REACTKD"
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if os.path.isabs(state) else home / ".local" / "state") / "REACTKD"


def log_file(program: str = MAIN) -> Path:
    """Return the log file of a program."""
    return log_folder() / f"{program}.log"


def log_unforeseen(error: BaseException, doing: str, program: str = MAIN, show: bool = True) -> str:
    """Log an unexpected error, and return the end of the sentence about it, which says where the details are.

    doing: a constant text, such as "grading". show: also print the traceback if REACTKD_DEBUG=1, for callers that do
    not raise the error again.
    """
    if show and os.environ.get(DEBUG):
        with suppress(OSError, ValueError, AttributeError):  # Slicer on Windows has no standard error stream
            traceback.print_exception(type(error), error, error.__traceback__)
    if not _logged(error, doing, program, logging.ERROR):
        return _("run it again with {variable}=1 and report what it prints").format(variable=DEBUG)
    return _("its details are in {file}").format(file=_shown(log_file(program)))


def log_cause(error: BaseException, doing: str, program: str = MAIN) -> None:
    """Log the cause of an error that the user saw as one of our sentences; do nothing if it has no cause."""
    if error.__cause__ is not None and not isinstance(error, Canceled):
        _logged(error, doing, program, logging.WARNING)


def log_uncaught(doing: str) -> Callable[[], None]:
    """Log uncaught exceptions of the application's callbacks, in addition to its own handling; return a function to end
    this.

    Only exceptions that passed through our code are logged, since the application has other modules.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: object) -> None:
        with suppress(Exception):
            if not issubclass(kind, KeyboardInterrupt) and _is_ours(trace):
                _logged(error, doing, MAIN, logging.ERROR)
        before(kind, error, trace)

    def end() -> None:
        if sys.excepthook is hook:
            sys.excepthook = before

    sys.excepthook = hook
    return end


def _is_ours(trace: object) -> bool:
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in _LIBRARIES:
            return True
        trace = trace.tb_next
    return False


class _Formatter(logging.Formatter):
    def formatException(self, fault: tuple) -> str:
        return plain_traceback(fault[1])


class _Quiet(RotatingFileHandler):
    """Handler that is silent about failing to write but remembers it. failed: the last record was not written."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        self.failed = True


def _logged(error: BaseException, doing: str, program: str, level: int) -> bool:
    """Write one entry; return False if that is impossible. Nothing is raised."""
    with suppress(Exception):
        handler = _handler(log_file(program))
        try:
            logger = logging.getLogger(f"REACTKD.{program}")
            logger.propagate, logger.disabled = False, False
            logger.setLevel(logging.INFO)
            logger.handlers[:] = [handler]
            # without a traceback of its own (for example, made in another thread) its type is logged
            logger.log(level, "%s", doing, exc_info=(type(error), error, error.__traceback__))
            logger.handlers[:] = [logging.NullHandler()]
        finally:
            handler.close()
        return not handler.failed
    return False


def _handler(path: Path) -> _Quiet:
    """Return a handler for one entry.

    Errors are rare, and on Windows another program could not rotate a file that stays open.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = _Quiet(path, maxBytes=LARGEST_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace")
    from REACTKDLib import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    about = f"REACTKD {__version__}, Python {python}, {sys.platform}, process %(process)d"
    handler.setFormatter(_Formatter(f"%(asctime)s %(levelname)s {about}, %(message)s"))
    return handler


def _shown(path: Path) -> str:
    """Return the path with the user's home folder as "~", which every shell and file manager understands."""
    home = os.path.expanduser("~")
    text = str(path)
    return "~" + text[len(home) :] if text.startswith(home + os.sep) else text
