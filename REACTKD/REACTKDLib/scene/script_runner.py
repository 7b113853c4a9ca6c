"""Runs one task at a time in small steps: a generator that yields when its caller may do other work.

The generator can also submit a job to a worker and continue when it has ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from enum import Enum
from typing import Any

from REACTKDLib.core.errors import Canceled, InputGone, ReactkdError
from REACTKDLib.core.log import log_unforeseen
from REACTKDLib.core.memory import lacks_memory, out_of_memory
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import events, jobs
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.signal import Signal

SLICE_S = 0.015  # of the caller's time in one poll; the step that exceeds it is the last

Script = Generator[None, None, Any]


class RunState(str, Enum):
    """IDLE: ready, with or without a result. RUNNING: work is under way. CANCELING: it is being stopped.

    FAILED: also ready; the last task ended with the sentence in `error`.
    """

    IDLE = "idle"
    RUNNING = "running"
    CANCELING = "canceling"
    FAILED = "failed"


class WorkerFault(ReactkdError):
    """A job failed. code: that of the worker's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ScriptRunner:
    """Runs scripts, one at a time, and signals their state.

    Signals: state_changed(state), progress_changed(fraction, text). Attributes: state, progress (fraction, text), error
    (a sentence or None) and error_code of the last script. logged_as, unforeseen, stopped: class attributes, for the
    log and for messages on its work.
    """

    logged_as = "grading in the scene"
    unforeseen = _("An unexpected fault stopped the grading ({name}); grade again, and report it; {where}.")
    stopped = _("The grading was stopped.")

    def __init__(self, dispatcher: JobDispatcher | None = None) -> None:
        self.dispatcher = dispatcher or JobDispatcher()
        self._own_dispatcher = dispatcher is None
        self.state_changed = Signal()
        self.progress_changed = Signal()
        self.state = RunState.IDLE
        self.progress: tuple[float, str] = (0.0, "")
        self.error: str | None = None
        self.error_code: str | None = None
        self._script: Script | None = None
        self._alive: Callable[[], bool] = lambda: True
        self._inputs: Callable[[], tuple] = tuple  # a stamp of what the script reads
        self._read: tuple = ()  # that stamp when it began
        self._unbroken = False
        self._ticket: int | None = None
        self._ended: events.Event | None = None
        self._next: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """True while work is under way or being stopped."""
        return self._script is not None

    @property
    def waiting(self) -> bool:
        """True while a task was requested that runs after the current one, also in the moment between them."""
        return self._next is not None

    def cancel(self) -> None:
        """Stop the running task within a second, and drop those requested after it."""
        self._next = None
        if self._script is None or self._unbroken:  # half-written outputs are completed in a moment
            return
        if self._ticket is None:
            self._finish(RunState.IDLE)
        else:
            self.dispatcher.cancel(self._ticket)
            self._set_state(RunState.CANCELING)

    def forget_error(self) -> None:
        """Drop the error of the last script, which no longer applies to the current case."""
        if not self.busy:
            self.error = self.error_code = None
            self._finish(RunState.IDLE)

    def forget_outdated_error(self) -> None:
        """Drop the error of the last script if its inputs have changed since it began: it may be true no longer."""
        if self.error is not None and not self.busy and self._alive() and self._inputs() != self._read:
            self.forget_error()

    def poll(self) -> None:
        """Process the worker's messages, and work for about 15 ms; call it from a timer."""
        if not self._runs_now:
            self.dispatcher.poll()
            self.work()

    @property
    def _runs_now(self) -> bool:
        """Return True during a call: a listener may process the application's events, including timers."""
        return self._script is not None and self._script.gi_running

    def work(self) -> None:
        """Work for about 15 ms; for a caller that has polled the dispatcher."""
        if self._runs_now:
            return
        until = time.perf_counter() + SLICE_S
        while self._script is not None:
            if self._ticket is not None and self._ended is None and self._alive():
                break  # the worker has not finished
            self._step()
            if time.perf_counter() >= until:
                break
        if self._script is None and self._next is not None:
            begin, self._next = self._next, None
            try:
                begin()
            except ReactkdError as error:  # what it needs is gone since it was requested
                self._end(None if self.error is not None else error)

    def close(self) -> None:
        """Stop everything, without further callbacks. May be called twice."""
        self.state_changed.disconnect_all()
        self.progress_changed.disconnect_all()
        self._next = None
        if self._script is not None:
            self._finish(RunState.IDLE)
        if self._own_dispatcher:
            self.dispatcher.close()

    def _begin(self, script: Script, alive: Callable[[], bool], inputs: Callable[[], tuple] = tuple) -> None:
        """Run `script`; it fails if alive() turns False, since its inputs are gone. inputs: returns a stamp of them."""
        self._script, self._alive = script, alive
        self._inputs, self._read = inputs, inputs()
        self.error = self.error_code = None
        self.progress = 0.0, ""  # signaled with the state, since listeners to both would redraw everything twice
        self._set_state(RunState.RUNNING)

    def _ask(self, job: jobs.Job, span: tuple[float, float]) -> Script:
        """Submit a job to the worker and return its reply; its progress fills `span`. Raises: WorkerFault, Canceled."""
        low, high = span

        def on_progress(fraction: float, text: str) -> None:
            if self.state is RunState.RUNNING:
                self._set_progress(low + (high - low) * fraction, text)

        ticket = self._ticket = self.dispatcher.submit(job, self._on_event, on_progress)
        try:
            while self._ended is None:
                yield
        except BaseException:
            self.dispatcher.cancel(ticket)
            raise
        finally:
            event, self._ticket, self._ended = self._ended, None, None
        if isinstance(event, events.JobFailed):
            raise WorkerFault(event.code, event.message)
        if isinstance(event, events.JobCanceled):
            raise Canceled(self.stopped)
        return event.result

    def _on_event(self, event: events.Event) -> None:
        if event.ticket == self._ticket:
            self._ended = event

    def _step(self) -> None:
        script, fault, ended = self._script, None, True
        try:
            if not self._alive():
                raise self._gone()
            next(script)
            ended = False
        except StopIteration:
            pass
        except Exception as error:
            fault = self._fault_of(error)
        if self._script is not script:  # a listener has ended it, or started another
            script.close()
        elif ended:
            self._end(fault)

    def _fault_of(self, error: Exception) -> ReactkdError:
        if lacks_memory(error):
            return out_of_memory()
        if isinstance(error, ReactkdError):
            return error
        name, where = type(error).__name__, log_unforeseen(error, self.logged_as)
        return WorkerFault("unexpected", self.unforeseen.format(name=name, where=where))

    def _gone(self) -> InputGone:
        """Return the error for inputs that were removed; defined per class."""
        return InputGone(_("An input was removed while the case was graded; choose the inputs again and grade."))

    def _end(self, fault: ReactkdError | None) -> None:
        """Handle the end of the script and its exception."""
        if fault is not None and not isinstance(fault, Canceled):
            self.error_code, self.error = fault.code, str(fault)
        self._finish(RunState.IDLE if self.error is None else RunState.FAILED)

    def _finish(self, state: RunState) -> None:
        script, self._script, self._unbroken = self._script, None, False
        if state is not RunState.FAILED:
            self._inputs, self._read = tuple, ()  # stamps hold images
        if script is not None and not script.gi_running:
            script.close()
        self._set_state(state)

    def _set_progress(self, fraction: float, text: str) -> None:
        self.progress = fraction, text
        self.progress_changed(fraction, text)

    def _set_state(self, state: RunState) -> None:
        if state is not self.state:
            self.state = state
            self.state_changed(state)


def signaled(waiting: Script, signal: Signal) -> Script:
    """Run the steps of a wait for the worker, and call `signal` after the first, when the worker has its job."""
    with closing(waiting):
        for n, _step in enumerate(waiting):
            if n == 0:
                signal()
            yield
