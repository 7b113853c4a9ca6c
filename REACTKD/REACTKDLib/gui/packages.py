"""The Python packages that Slicer does not include: detected without importing them, installed only on request.

Nothing here runs when the module is loaded. torch comes from the PyTorch extension, which picks the build that fits the
computer; the others come from `Resources/requirements.txt`, through Slicer's own installer, which asks first and is
prevented from replacing torch and Slicer's own packages.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from REACTKDLib.core.errors import PackagesMissing
from REACTKDLib.core.log import log_cause

# Import name -> package name for display.
NEEDED = {"torch": "torch", "monai": "monai", "einops": "einops", "ot": "POT", "skimage": "scikit-image"}
KEPT = ("torch", "numpy", "scipy", "SimpleITK", "vtk")  # never changed by an installation
REQUIREMENTS, CONSTRAINTS = (
    Path(__file__).resolve().parents[2] / "Resources" / name for name in ("requirements.txt", "constraints.txt")
)
_KNOWN: dict[str, str] = {}  # accepted versions: reading the files of five packages takes a twentieth of a second


def missing_packages() -> list[str]:
    """Return the packages that are not installed, or too old, by their names for display. Imports none of them."""
    ranges = _ranges()
    return [package for module, package in NEEDED.items() if not _fits(module, package, ranges)]


def ensure_packages() -> None:
    """Install missing packages, after asking. To be called by a user action, never at import.

    Raises: PackagesMissing if the user declines, after which nothing else is asked; if the PyTorch extension is
    missing, or its PyTorch too old; if an installation fails; and in Slicer's testing mode, which installs nothing.
    """
    missing = missing_packages()
    if not missing:
        return
    if _is_testing():
        words = _(
            "REACTKD cannot run without {packages}, and nothing is installed in testing mode; install them first."
        )
        raise PackagesMissing(words.format(packages=", ".join(missing)))
    if "torch" in missing:
        _install_torch()
    if set(missing) - {"torch"}:
        _install_others()
    importlib.invalidate_caches()
    still_missing = missing_packages()
    if still_missing:
        words = _("REACTKD cannot run without {packages}; press Grade again and allow the installation.")
        raise PackagesMissing(words.format(packages=", ".join(still_missing)))


def _install_torch() -> None:
    wanted, there = _ranges()["torch"], _version("torch")
    if there and _is_installed("torch"):
        words = _(
            "REACTKD needs PyTorch {wanted}, and {there} is installed; uninstall it with the module PyTorch Utils, "
            "restart Slicer and press Grade again."
        )
        raise PackagesMissing(words.format(wanted=wanted, there=there))
    try:
        import PyTorchUtils
    except ImportError as error:
        raise PackagesMissing(
            _(
                "REACTKD needs PyTorch; install the extension PyTorch with the Extensions Manager, restart Slicer and "
                "press Grade again."
            )
        ) from error
    try:
        PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=str(wanted))
    except Exception as error:  # whatever that extension, its installer or pip may raise
        raise _failed("torch", error) from error
    importlib.invalidate_caches()
    if not _is_installed("torch"):
        raise PackagesMissing(
            _("REACTKD needs PyTorch, and its installation was declined; press Grade again and allow it.")
        )


def _install_others() -> None:
    names = [name for name in missing_packages() if name != "torch"]
    declined = _("The installation of {packages} was declined; press Grade again and allow it.")
    with _constraints() as constraints:
        try:
            agreed = _install_by_slicer(constraints, names)
        except Exception as error:  # CalledProcessError if pip fails, or other errors of an installer
            raise _failed(" ".join(names), error) from error
    if not agreed:
        raise PackagesMissing(declined.format(packages=", ".join(names)))


def _install_by_slicer(constraints: str, names: list[str]) -> bool:
    """Install, and return False if the user declined."""
    try:
        from slicer.packaging import load_requirements, pip_ensure
    except ImportError:  # Slicer 5.10
        question = _("REACTKD needs to install Python packages: {packages}. Install them now?")
        if not slicer.util.confirmOkCancelDisplay(question.format(packages=", ".join(names))):
            return False
        slicer.util.pip_install(["-r", str(REQUIREMENTS), "-c", constraints])
        return True
    try:
        pip_ensure(load_requirements(str(REQUIREMENTS)), constraints=constraints, requester="REACTKD")
    except RuntimeError:
        return False
    return True


@contextmanager
def _constraints() -> Iterator[str]:
    """Yield a file for pip's option -c that keeps installed packages of `KEPT` unchanged."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "constraints.txt"
        versions = {name: _version(name) for name in KEPT}
        path.write_text("".join(f"{name}=={version}\n" for name, version in versions.items() if version))
        yield str(path)


def _failed(names: str, error: Exception) -> PackagesMissing:
    words = _(
        "The installation of {packages} failed; check the internet connection, set HTTPS_PROXY where there is a proxy, "
        "or install them from a folder of wheels with pip_install('--no-index --find-links FOLDER {packages}') in the "
        "Python console, and press Grade again."
    )
    fault = PackagesMissing(words.format(packages=names))
    fault.__cause__ = error
    log_cause(fault, "the installation of packages")
    return fault


def _is_testing() -> bool:
    app = getattr(slicer, "app", None)
    return app is not None and app.testingEnabled()


def _is_installed(module: str) -> bool:
    if module in sys.modules:  # find_spec refuses a module without a spec; None there means that imports are blocked
        return sys.modules[module] is not None
    return importlib.util.find_spec(module) is not None


def _fits(module: str, package: str, ranges: dict[str, Any]) -> bool:
    if not _is_installed(module):
        return False
    version = _version(package)  # none: not installed by pip
    fits = version is None or package not in ranges or ranges[package].contains(version, prereleases=True)
    if not fits:
        _KNOWN.pop(package, None)  # it may be replaced while Slicer runs
    return fits


def _version(package: str) -> str | None:
    if package not in _KNOWN:
        try:
            _KNOWN[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None
    return _KNOWN[package]


def _ranges() -> dict[str, Any]:
    """Return {package: accepted versions} from the two files."""
    try:
        from packaging.requirements import Requirement
    except ImportError:  # pip, which Slicer includes, has its own copy
        from pip._vendor.packaging.requirements import Requirement

    text = "\n".join(path.read_text(encoding="utf-8") for path in (REQUIREMENTS, CONSTRAINTS))
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    read = [Requirement(line) for line in lines if line]
    return {requirement.name: requirement.specifier for requirement in read}
