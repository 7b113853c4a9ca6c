"""An error in the panel, in a click or during grading, leaves its traceback in the log."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from host import qt_shim
from support.panel_steps import GRADE_S

CANARY = "Doe^Canary"


def fails(*arguments: object, **named: object) -> None:
    patient = CANARY
    raise ZeroDivisionError(f"{patient} in '/data/{patient}'")


@pytest.fixture
def logged(tmp_path, monkeypatch):
    monkeypatch.setenv("REACTKD_LOG_DIR", str(tmp_path))

    def read() -> str:
        text = (tmp_path / "reactkd.log").read_text(encoding="utf-8")
        assert "ZeroDivisionError: ... in '...'" in text and "in fails" in text and CANARY not in text
        return text

    return read


def test_a_fault_while_grading_is_logged(user: Any, nodes: Any, context: Any, logged: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("REACTKDLib.scene.hand_over.write_slabs", fails)
    user.click("gradeButton")
    user.wait_until(lambda: context.controller.error_code == "unexpected", GRADE_S, "the fault")
    assert "reactkd.log" in context.controller.error
    assert "scene/script_runner.py" in logged()


def test_a_fault_in_a_callback_is_logged(user: Any, widget: Any, logged: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(widget.panel, "_work", deque([fails]))
    user.wait_until(lambda: qt_shim.slot_errors, 5, "the fault in the timer")
    widget.panel.timer.stop()  # otherwise a slow computer fails once more at the end
    qt_shim.slot_errors.clear()
    assert "gui/panel.py" in logged()
