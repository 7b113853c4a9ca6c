"""One sentence for whatever ends a run; what nobody foresaw leaves its details in a file."""

from __future__ import annotations

from pathlib import Path

from REACTKDLib.core.errors import OutputNotWritable, ReactkdError
from REACTKDLib.core.log import TRAINING, log_told, log_unforeseen
from REACTKDLib.core.plain_traceback import plain_traceback
from REACTKDLib.core.text import sentence
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.training.packages import how_to_install

DETAILS = "error.txt"


def explain(error: BaseException, output: Path | None) -> str:
    """Say what happened and what to do. output: of the run, where the details of an unforeseen fault are written."""
    if isinstance(error, ReactkdError):
        log_told(error, "a training", TRAINING)
        text = str(error)
    elif isinstance(error, ModuleNotFoundError):
        text = how_to_install([(error.name or "a package").split(".")[0]])
    elif isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        text = "There was not enough memory; choose smaller batches (teacherBatch, studentBatch) or fewer workers."
    elif isinstance(error, OSError) and error.strerror:
        text = f"A file could not be read or written ({error.strerror}); make room or give access, and resume the run."
    else:
        text = _unforeseen(error, output)
    return sentence(" ".join(text.split()))


def _unforeseen(error: BaseException, output: Path | None) -> str:
    what = f"An unforeseen fault ended the run ({type(error).__name__})"
    where = log_unforeseen(error, "a training", TRAINING, show=False)
    if output is None or not (Path(output) / "run.json").exists():
        return f"{what}; please report it; {where}."
    try:
        write_text(Path(output) / DETAILS, plain_traceback(error) + "\n")
    except OutputNotWritable:
        return f"{what}; please report it; {where}."
    return f"{what}; please report {DETAILS} in the output folder; the run can be resumed; {where}."
