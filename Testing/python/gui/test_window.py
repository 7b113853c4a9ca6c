"""`make slicer-host` opens the module in a window; tested here off-screen, as one picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import slicer

from support.panel_steps import GRADE_S

REPOSITORY = Path(__file__).resolve().parents[3]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    folders = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "Testing"))
    environment = {**os.environ, "PYTHONPATH": folders, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-m", "host.window", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_the_window_shows_panel_and_views(application: object, tmp_path: Path) -> None:
    import qt

    result = run("--screenshot", str(tmp_path / "window.png"))
    assert result.returncode == 0, result.stderr
    assert str(tmp_path / "window.png") in result.stdout
    picture = qt.QImage(str(tmp_path / "window.png"))
    assert (picture.width(), picture.height()) == (1400, 900)
    red, three_d = picture.pixelColor(600, 250), picture.pixelColor(1150, 200)
    assert red.lightness() < 10 < three_d.lightness(), "the slice view is black, the 3D view is not"


def test_without_a_screen_the_command_says_so() -> None:
    result = run()
    assert result.returncode == 2
    assert "no screen" in result.stderr and 'ARGS="--screenshot' in result.stderr


def test_the_window_says_that_it_has_no_segment_editor(
    application: Any, user: Any, widget: Any, nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from host.window import say_what_is_missing

    said: list[str] = []
    monkeypatch.setattr(slicer.util, "infoDisplay", lambda text, *_args, **_options: said.append(text))
    say_what_is_missing(application)
    user.open_section("masksSection")
    user.click("segmentEditorButton")
    assert len(said) == 1 and "Segment Editor" in said[0]
    assert application.selected == "REACTKD" and widget.parent.isEntered, "the panel must stay usable"
    user.click("checkButton")
    user.wait_until(lambda: user.find("checkButton").enabled, GRADE_S, "the check")
