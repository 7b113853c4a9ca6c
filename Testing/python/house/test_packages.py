"""Packages are installed only after a click, torch only by the PyTorch extension; each refusal is one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from subprocess import CalledProcessError
from types import ModuleType, SimpleNamespace

import pytest
from packaging.requirements import Requirement

pytest.importorskip("slicer")

import slicer

from host.scripted_module import install
from REACTKDLib.core.errors import PackagesMissing

install()

from REACTKDLib.gui import packages  # noqa: E402 - after slicer.i18n is there


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Import names treated as not installed; an installer removes them from the set."""
    names: set[str] = set()
    installed = packages._is_installed
    monkeypatch.setattr(slicer, "app", SimpleNamespace(testingEnabled=lambda: False), raising=False)
    monkeypatch.setattr(packages, "_is_installed", lambda name: name not in names and installed(name))
    return names


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, absent: set[str]) -> list[str]:
    """Replaces Slicer's two installers by recorders; each marks what it is asked for as installed."""
    calls: list[str] = []

    class PyTorchUtilsLogic:
        def installTorch(
            self,
            askConfirmation: bool = False,
            forceComputationBackend: str | None = None,
            torchVersionRequirement: str | None = None,
        ) -> None:
            calls.append(f"torch{torchVersionRequirement}, asking: {askConfirmation}")
            absent.discard("torch")

    def pip_ensure(requirements: list[Requirement], constraints: str, requester: str) -> None:
        calls.append(f"pip for {requester}: {', '.join(map(str, requirements))}")
        calls.append(Path(constraints).read_text())
        absent.intersection_update({"torch"})

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    packaging = ModuleType("slicer.packaging")
    packaging.pip_ensure = pip_ensure
    packaging.load_requirements = slicer.packaging.load_requirements
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    return calls


def refused() -> str:
    """The sentence shown to the user."""
    with pytest.raises(PackagesMissing) as caught:
        packages.ensure_packages()
    text = str(caught.value)
    assert text.endswith(".") and text.count(". ") == 0 and "\n" not in text
    return text


def test_without_missing_packages_nothing_is_asked(asked: list[str]) -> None:
    assert packages.missing_packages() == []
    packages.ensure_packages()
    assert asked == []


def test_torch_is_installed_by_its_extension_and_the_rest_from_the_requirements(
    asked: list[str], absent: set[str]
) -> None:
    absent |= {"torch", "monai"}
    packages.ensure_packages()
    assert asked[0] == "torch>=2.4.1, asking: True"
    assert asked[1].startswith("pip for REACTKD: monai>=") and "torch" not in asked[1]
    assert f"torch=={version('torch')}\n" in asked[2] and f"numpy=={version('numpy')}\n" in asked[2]


def test_without_the_pytorch_extension_the_user_is_told_to_install_it(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    absent |= {"torch", "monai"}
    assert "extension PyTorch" in refused() and asked == []


def raising(error: Exception) -> Callable[..., None]:
    def install(*_: object, **__: object) -> None:
        raise error

    return install


PIP_FAILED = CalledProcessError(1, ["PythonSlicer", "-m", "pip", "install"])


@pytest.mark.parametrize("answer", [lambda *_, **__: None, raising(PIP_FAILED), raising(OSError("no disk"))])
def test_without_torch_no_other_package_is_installed(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str], answer: Callable[..., None]
) -> None:
    """Declined or failed: otherwise pip would install its own torch as a dependency of MONAI."""
    monkeypatch.setattr(sys.modules["PyTorchUtils"].PyTorchUtilsLogic, "installTorch", answer)
    absent |= {"torch", "monai", "einops"}
    text = refused()
    assert asked == [] and ("declined" in text or "HTTPS_PROXY" in text)


def test_an_old_torch_is_not_replaced(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    installed = packages._version
    monkeypatch.setattr(packages, "_version", lambda name: "2.3.1+cu121" if name == "torch" else installed(name))
    assert packages.missing_packages() == ["torch"]
    assert ">=2.4.1, and 2.3.1+cu121 is installed" in refused() and asked == []


@pytest.mark.parametrize("old", ["1.4.9", "1.5.0rc1", "0.1"])
def test_a_package_that_is_too_old_is_missing(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str], old: str
) -> None:
    installed = packages._version
    monkeypatch.setattr(packages, "_version", lambda name: old if name == "monai" else installed(name))
    assert packages.missing_packages() == ["monai"]
    assert "monai" in refused() and asked[0].startswith("pip for REACTKD: monai>=")


def test_a_declined_installation_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str]
) -> None:
    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", raising(RuntimeError("User declined")))
    absent |= {"monai", "ot"}
    assert "The installation of monai, POT was declined" in refused()


@pytest.mark.parametrize("error", [PIP_FAILED, OSError("no pip"), ValueError("its bug")])
def test_a_failed_installation_names_the_next_steps(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str], error: Exception
) -> None:
    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", raising(error))
    absent.add("skimage")
    text = refused()
    assert "HTTPS_PROXY" in text and "--no-index --find-links FOLDER scikit-image" in text and "Grade again" in text


@pytest.mark.parametrize("agrees", [True, False])
def test_slicer_without_its_packaging_module_is_supported(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str], agrees: bool
) -> None:
    told: list[str] = []

    def pip_install(arguments: list[str]) -> None:
        told.extend(arguments)
        absent.clear()

    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: "monai" in text and agrees)
    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    absent.add("monai")
    if agrees:
        packages.ensure_packages()
        assert told[:2] == ["-r", str(packages.REQUIREMENTS)] and told[2] == "-c"
        monkeypatch.setattr(slicer.util, "pip_install", raising(PIP_FAILED))
        absent.add("monai")
        assert "HTTPS_PROXY" in refused()
    else:
        assert "declined" in refused() and told == []


def test_a_python_without_the_package_packaging_reads_the_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: str(wanted) for name, wanted in packages._ranges().items()}
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert {name: str(wanted) for name, wanted in packages._ranges().items()} == before
    assert packages.missing_packages() == []


def test_in_testing_mode_nothing_is_installed(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str]
) -> None:
    monkeypatch.setattr(slicer, "app", SimpleNamespace(testingEnabled=lambda: True), raising=False)
    packages.ensure_packages()
    absent |= {"torch", "einops"}
    assert "without torch, einops" in refused() and asked == []


def test_an_incomplete_installation_is_reported(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], absent: set[str]
) -> None:
    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_ensure", lambda *_, **__: None)
    absent.add("einops")
    assert "einops" in refused()


def test_a_blocked_package_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai", None)
    assert packages.missing_packages() == ["monai"]
