"""REACTKD: grades hepatocellular carcinoma from CT and PET, and shows which regions determined the grade.

    from REACTKDLib import grade, load_model, read_case
    report = grade(ct="CT.nii.gz", fdg="FDG.nii.gz", segmentation="masks.seg.nrrd")

Layers, each importing only what is below it: `gui` -> `scene` -> `core`; this package's public names (`api`) and the
command line (`commands`) stand beside `scene`. Nothing is imported here before it is asked for.
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
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
