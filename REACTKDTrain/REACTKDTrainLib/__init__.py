"""Training for REACTKD: cohorts, low dose, the training engine and evaluation. Never imports slicer, vtk or qt.

from REACTKDTrainLib import evaluate, train
run = train(cohort="cases.json", output="run")
evaluate(run, cohort="external.json", output="external")
"""

import sys as _sys
from importlib import import_module as _import_module

from REACTKDTrainLib import moved as _moved

if _moved.FINDER not in _sys.meta_path:
    _sys.meta_path.append(_moved.FINDER)

__all__ = ["Cohort", "Run", "evaluate", "open_cohort", "train"]


def __getattr__(name: str):
    """Import a public name on first access (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
