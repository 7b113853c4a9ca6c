"""Packages that a training needs; checked before anything is loaded, so that no run fails late for a missing one."""

from __future__ import annotations

from importlib.util import find_spec

#: module -> package that provides it; torch is installed in its own way
NEEDED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "torch": "torch",
    "monai": "monai",
    "einops": "einops",  # MONAI's SwinUNETR imports it, and fails only when used
    "ot": "POT",
    "skimage": "scikit-image",
    "SimpleITK": "SimpleITK",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "pydantic": "pydantic",
    "tqdm": "tqdm",
}


def missing_packages() -> list[str]:
    """Return the modules of NEEDED that are not installed; nothing is imported."""
    return [module for module in NEEDED if not _is_there(module)]


def how_to_install(modules: list[str]) -> str:
    """Return one sentence with instructions, for use in Slicer and outside."""
    torch = "PyTorch (in Slicer by the PyTorch extension, elsewhere by: pip install torch)"
    names = [NEEDED.get(module, module) for module in modules if module != "torch"]
    if not names:
        return f"Training needs {torch}, which is not installed."
    also = f"; and {torch}" if "torch" in modules else ""
    install = " ".join(names)
    return (
        f"Training needs packages that are not installed: {', '.join(names)} (in Slicer's Python console: "
        f"slicer.util.pip_install({install!r}); elsewhere: pip install {install}){also}."
    )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # a module without a spec, such as a stub
        return True
