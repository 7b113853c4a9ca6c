"""REACTKD: grades hepatocellular carcinoma from CT and PET, and shows which regions determined the grade.

    from REACTKDLib import grade, load_model, read_case
    report = grade(ct="CT.nii.gz", fdg="FDG.nii.gz", segmentation="masks.seg.nrrd")

The layers are `gui`, `scene` and `core`; each imports only from those below it. The public names (`api`) and the
command line (`commands`) are on the level of `scene`. Public names are imported on first access.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0"
__all__ = [
    "Case",
    "GradeReport",
    "Grader",
    "ReactkdError",
    "Task",
    "Unit",
    "Volume",
    "grade",
    "load_model",
    "read_case",
    "read_cases",
]


def __getattr__(name: str):
    """Import a public name on first access (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
