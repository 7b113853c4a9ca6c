"""Selects the Python interpreter and the environment of the worker."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from REACTKDLib.core.errors import WorkerNotStarted
from REACTKDLib.core.job_engines import THREAD_VARIABLES
from REACTKDLib.core.text import tr as _

MAX_THREADS = 8


def find_python() -> str:
    """Return an interpreter with the packages of this process.

    This is `sys.executable`, unless an application embeds Python: then Slicer's PythonSlicer, on the path or beside the
    application. Raises: WorkerNotStarted if there is none.
    """
    own = Path(sys.executable or "")
    if own.is_file() and own.stem.lower().startswith("python"):
        return str(own)
    found = shutil.which("PythonSlicer")
    if found:
        return found
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    places = [own.parent, own.parent / "bin", own.parent.parent / "bin", *map(Path, filter(None, _slicer_bins()))]
    for place in places:
        if (place / name).is_file():
            return str(place / name)
    raise WorkerNotStarted(
        _("Slicer's Python (PythonSlicer) was not found beside the application; install Slicer again.")
    )


def _slicer_bins() -> list[str]:
    home = os.environ.get("SLICER_HOME", "")
    return [os.path.join(home, "bin")] if home else []


def worker_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment, extended so that REACTKDLib is found, threads are limited, and output is
    unbuffered.
    """
    environment = dict(os.environ)
    package_root = str(Path(__file__).resolve().parents[3])
    paths = [package_root, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONSAFEPATH"] = "1"  # nothing is imported from the current folder
    environment["PYTHONUTF8"] = "1"
    threads = environment.get("OMP_NUM_THREADS") or str(max(1, min(MAX_THREADS, (os.cpu_count() or 1) - 1)))
    for name in THREAD_VARIABLES:  # torch uses MKL's setting, so OpenMP's alone would have no effect
        environment.setdefault(name, threads)
    # Only the part of a large array around the organ is written; with huge pages all of it would be: half of an edit's
    # time.
    environment.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    environment.update(extra or {})
    return environment
