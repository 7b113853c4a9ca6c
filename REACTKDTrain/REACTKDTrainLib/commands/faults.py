"""Error messages: one sentence for every error that ends a run; details of an unexpected one are written to a file."""

from __future__ import annotations

from pathlib import Path

from REACTKDLib.core.errors import OutputNotWritable, ReactkdError
from REACTKDLib.core.log import TRAINING, log_cause, log_unforeseen
from REACTKDLib.core.memory import lacks_memory
from REACTKDLib.core.plain_traceback import plain_traceback
from REACTKDLib.core.text import sentence
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.training.packages import how_to_install, missing_packages

DETAILS = "error.txt"


def explain(error: BaseException, output: Path | None = None, what: str = "a training") -> str:
    """Return a text with the error and its remedy.

    output: folder of a training, for the details of an unexpected error. what: the activity, for the log.
    """
    if lacks_memory(error):
        text = "There was not enough memory; choose smaller batches, fewer jobs or smaller images."
    elif isinstance(error, ReactkdError):
        log_cause(error, what, TRAINING)
        text = str(error)
    elif isinstance(error, ModuleNotFoundError):
        text = how_to_install(missing_packages() or [(error.name or "a package").split(".")[0]])
    elif isinstance(error, OSError) and error.strerror:
        text = f"A file could not be read or written ({error.strerror}); make room or give access, and start again."
    else:
        text = _unforeseen(error, output, what)
    return sentence(" ".join(text.split()))


def _unforeseen(error: BaseException, output: Path | None, what: str) -> str:
    fault = f"An unforeseen fault ended the run ({type(error).__name__})"
    where = log_unforeseen(error, what, TRAINING, show=False)
    if output is None or not (Path(output) / "run.json").exists():
        return f"{fault}; please report it; {where}."
    try:
        write_text(Path(output) / DETAILS, plain_traceback(error) + "\n")
    except OutputNotWritable:
        return f"{fault}; please report it; {where}."
    return f"{fault}; please report {DETAILS} in the output folder; the run can be resumed; {where}."
