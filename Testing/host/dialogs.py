"""File dialogs as in PythonQt: they return a path, not a pair. In testing mode nobody could answer one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from PySide6.QtWidgets import QFileDialog

QUESTIONS = ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory")


def install() -> None:
    """Replace Qt's functions; a test replaces them with its answer (`monkeypatch.setattr(QFileDialog, ...)`)."""
    for name in QUESTIONS:
        setattr(QFileDialog, name, staticmethod(_asking(name, getattr(QFileDialog, name))))


def _asking(name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
    def question(*arguments: Any) -> Any:
        if slicer.app.testingEnabled():
            raise AssertionError(f"QFileDialog.{name} waits for an answer that the test does not give")
        answer = ask(*arguments)
        return answer[0] if isinstance(answer, tuple) else answer

    return question
