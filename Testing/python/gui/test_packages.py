"""A click on Grade with a package missing: Slicer's installer asks, fails or is declined, and the panel says so."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import slicer


@pytest.fixture
def lacking(application: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Require a version of einops that does not exist, so that it counts as missing, with Slicer's testing mode off."""
    from REACTKDLib.gui import packages

    path = tmp_path / "requirements.txt"
    path.write_text("monai>=1.5\neinops>=999\n", encoding="utf-8")
    monkeypatch.setattr(packages, "REQUIREMENTS", path)
    monkeypatch.setattr(slicer.packaging, "asked", [])
    application.app.setTestingEnabled(False)
    yield slicer.packaging
    application.app.setTestingEnabled(True)


def test_the_panel_says_what_to_do_after_a_failed_declined_or_skipped_installation(
    user: Any, nodes: Any, lacking: Any, monkeypatch: Any, application: Any
) -> None:
    user.click("gradeButton")
    assert lacking.asked == [(["einops>=999"], "REACTKD")]
    text = user.text("stateLabel")
    assert text.startswith("The installation of einops failed; check the internet connection") and "HTTPS_PROXY" in text
    assert user.find("gradeButton").enabled and not user.sees("progressBar")
    user.screenshot("packages-offline")

    monkeypatch.setattr(lacking, "refuse", True)
    for count in (2, 3):
        user.click("gradeButton")
        assert "The installation of einops was declined" in user.text("stateLabel") and len(lacking.asked) == count

    asked = list(lacking.asked)
    application.app.setTestingEnabled(True)
    user.click("gradeButton")
    assert lacking.asked == asked and "nothing is installed in testing mode" in user.text("stateLabel")
    application.app.setTestingEnabled(False)

    from REACTKDLib.gui import packages

    installed = packages._is_installed
    monkeypatch.setattr(packages, "_is_installed", lambda name: name != "torch" and installed(name))
    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = type("PyTorchUtilsLogic", (), {"installTorch": lambda *_, **__: None})
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    user.click("gradeButton")
    assert lacking.asked == asked
    assert user.text("stateLabel").startswith("REACTKD needs PyTorch, and its installation was declined")
