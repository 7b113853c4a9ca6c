"""One sentence for whatever ends a run; what nobody foresaw leaves its details in a file."""

from __future__ import annotations

import traceback
from pathlib import Path

from REACTKDLib.core.atomic import write_text
from REACTKDLib.core.errors import OutputNotWritable, ReactkdError
from REACTKDLib.core.text import sentence
from REACTKDTrainLib.run.packages import how_to_install

DETAILS = "error.txt"


def explain(error: BaseException, output: Path | None) -> str:
    """Say what happened and what to do. output: of the run, where the details of an unforeseen fault are written."""
    if isinstance(error, ReactkdError):
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
    again = f"{what}; run it again with REACTKD_DEBUG=1 and report what it prints."
    if output is None or not (Path(output) / "run.json").exists():
        return again
    try:
        write_text(Path(output) / DETAILS, "".join(traceback.format_exception(error)))
    except OutputNotWritable:
        return again
    return f"{what}; please report {DETAILS} in the output folder; the run can be resumed."
