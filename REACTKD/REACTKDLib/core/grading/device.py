"""Runs the student on a GPU if there is one, and on the CPU if the GPU fails, so that a GPU fault never stops the
work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _

if TYPE_CHECKING:
    from REACTKDLib.core.grading.runner import StudentRunner
    from REACTKDLib.core.student.network import Student

T = TypeVar("T")


class FallbackRunner:
    """Runs the student on the requested device; once a GPU fails, on the CPU, which is reported in `findings`.

    device: the current device, 'cpu' or 'cuda'. current: the runner on it. wish: 'auto', 'cpu' or 'cuda', see `Grader`.
    make_runner: creates a `StudentRunner`.
    """

    def __init__(self, student: Student, wish: str, make_runner: Callable[[Student, str], StudentRunner]):
        self._student = student
        self._make_runner = make_runner
        self.findings: tuple[Finding, ...] = ()
        self.device = "cpu"
        self.current: StudentRunner = self._first(wish)

    def run(self, work: Callable[[StudentRunner], T]) -> T:
        """Return work(runner). If a GPU fails, this and all later work is done on the CPU."""
        try:
            return work(self.current)
        except (RuntimeError, AssertionError) as error:
            if self.device == "cpu":
                raise
            self.current = self._on_cpu(error)
        return work(self.current)

    def _first(self, wish: str) -> StudentRunner:
        import torch

        if wish == "cpu" or (wish == "auto" and not torch.cuda.is_available()):
            return self._make_runner(self._student, "cpu")
        try:
            runner = self._make_runner(self._student, "cuda")
        except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
            return self._on_cpu(error)
        self.device = "cuda"
        return runner

    def _on_cpu(self, error: Exception) -> StudentRunner:
        """Return a runner on the CPU, and record why."""
        self.device = "cpu"
        text = _("The GPU was not used: {reason}. The CPU was used instead.")
        self.findings = (Finding("device-fallback", "warning", text, reason=_reason(error)),)
        return self._make_runner(self._student, "cpu")


def _reason(error: Exception) -> str:
    import torch

    text = str(error).lower()
    if isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in text:
        return _("it has too little free memory")
    if "no kernel image" in text:
        return _("the installed PyTorch does not support this model of GPU")
    if not torch.cuda.is_available():
        return _("PyTorch finds none")
    return _("it reported an error")
