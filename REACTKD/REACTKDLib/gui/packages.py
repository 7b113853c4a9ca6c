"""The Python packages that Slicer does not bring: found without importing them, installed only after a click.

Nothing here runs when the module is loaded. torch comes from the PyTorch extension, which picks the build that fits the
computer; the other packages come from `Resources/requirements.txt`, through Slicer's own installer, which asks first.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from REACTKDLib.core.errors import PackagesMissing

# Import name -> name of the package as a person would type it.
NEEDED = {"torch": "torch", "monai": "monai", "einops": "einops", "ot": "POT", "skimage": "scikit-image"}


def missing_packages() -> list[str]:
    """Return the packages that are not installed, by their names for people. Imports none of them."""
    return [package for module, package in NEEDED.items() if not _is_installed(module)]


def _is_installed(module: str) -> bool:
    if module in sys.modules:  # find_spec refuses a module without a spec; None there means that imports are blocked
        return sys.modules[module] is not None
    return importlib.util.find_spec(module) is not None


def ensure_packages(requirements: Path) -> None:
    """Install what is missing, after asking. Call it from an action of the user, never at import.

    Raises: PackagesMissing when the user declines, when the PyTorch extension is absent, or when an install failed.
    """
    missing = missing_packages()
    if "torch" in missing:
        _install_torch()
    if set(missing) - {"torch"}:
        _install_others(requirements)
    still_missing = missing_packages()
    if still_missing:
        raise PackagesMissing(
            _("REACTKD cannot run without {packages}; press Grade again and allow the installation.").format(
                packages=", ".join(still_missing)
            )
        )


def _install_torch() -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise PackagesMissing(
            _(
                "REACTKD needs PyTorch; install the extension PyTorch with the Extensions Manager, restart Slicer and "
                "press Grade again."
            )
        ) from error
    PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True)


def _install_others(requirements: Path) -> None:
    try:
        from slicer.packaging import load_requirements, pip_ensure
    except ImportError:  # older stable releases of Slicer have no slicer.packaging
        _install_others_by_pip(requirements)
        return
    try:
        pip_ensure(load_requirements(str(requirements)), requester="REACTKD")
    except RuntimeError as error:
        raise PackagesMissing(
            _(
                "The installation of Python packages was declined or failed ({reason}); press Grade again and allow it."
            ).format(reason=error)
        ) from error


def _install_others_by_pip(requirements: Path) -> None:
    names = ", ".join(name for name in missing_packages() if name != "torch")
    question = _("REACTKD needs to install Python packages: {packages}. Install them now?")
    if slicer.util.confirmOkCancelDisplay(question.format(packages=names)):
        slicer.util.pip_install(["-r", str(requirements)])
