"""Packages are installed after a click only, torch only by the PyTorch extension, and every refusal is one sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("slicer")

from host.scripted_module import install
from REACTKDLib.core.errors import PackagesMissing

install()

from REACTKDLib.gui import packages  # noqa: E402 - after slicer.i18n is there

REQUIREMENTS = Path(__file__).resolve().parents[3] / "REACTKD" / "Resources" / "requirements.txt"


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Import names that count as not installed; an installer takes them out."""
    names: set[str] = set()
    installed = packages._is_installed
    monkeypatch.setattr(packages, "_is_installed", lambda name: name not in names and installed(name))
    return names


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, absent: set[str]) -> list[str]:
    """Recorders in the place of Slicer's two installers; each installs what it is asked for."""
    calls: list[str] = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation: bool = False) -> None:
            calls.append(f"torch, asking: {askConfirmation}")
            absent.discard("torch")

    def pip_ensure(requirements: list[str], requester: str) -> None:
        calls.append(f"pip for {requester}: {', '.join(requirements)}")
        absent.intersection_update({"torch"})

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    packaging = ModuleType("slicer.packaging")
    packaging.pip_ensure = pip_ensure
    packaging.load_requirements = lambda path: [
        line for line in Path(path).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
    ]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    return calls


def test_nothing_is_asked_where_nothing_is_missing(asked: list[str]) -> None:
    assert packages.missing_packages() == []
    packages.ensure_packages(REQUIREMENTS)
    assert asked == []


def test_torch_comes_from_its_extension_and_the_rest_from_the_file(asked: list[str], absent: set[str]) -> None:
    absent |= {"torch", "monai"}
    packages.ensure_packages(REQUIREMENTS)
    assert asked[0] == "torch, asking: True"
    assert asked[1].startswith("pip for REACTKD: monai>=") and "torch" not in asked[1]


def test_without_the_pytorch_extension_the_user_is_told_to_install_it(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    absent.add("torch")
    with pytest.raises(PackagesMissing, match="extension PyTorch"):
        packages.ensure_packages(REQUIREMENTS)
    assert asked == []


def test_a_declined_installation_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str]
) -> None:
    def declined(*_: object, **__: object) -> None:
        raise RuntimeError("User declined")

    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", declined)
    absent.add("monai")
    with pytest.raises(PackagesMissing, match="declined"):
        packages.ensure_packages(REQUIREMENTS)


def test_an_installation_that_leaves_something_out_is_noticed(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str]
) -> None:
    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", lambda *_, **__: None)
    absent.add("einops")
    with pytest.raises(PackagesMissing, match="einops"):
        packages.ensure_packages(REQUIREMENTS)


def test_a_blocked_package_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai", None)
    assert packages.missing_packages() == ["monai"]
