"""Cases of a list into the scene and out of it, without holding up whoever asks: a worker reads and writes.

loader = CaseLoader(scene, dispatcher)
loader.open("case-1", files, then)        # returns at once; then(None) when it is there, then(error) when it failed
timer.timeout -> dispatcher.poll(), loader.work()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import slicer

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.log import log_unforeseen
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import events
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.core.worker.files_read import FilesRead
from REACTKDLib.core.worker.jobs import ReadFiles, SaveSegments
from REACTKDLib.scene.drawn_segments import hand_over_segments, save_at_once, segments_stamp
from REACTKDLib.scene.listed_nodes import ListedNodes, add_case, images_in_slices, remove_case

SLICE_S = 0.015  # of the caller's time; the step that passes it is the last
Then = Callable[[ReactkdError | None], Any]
Script = Generator[None, None, None]


class LoaderFault(ReactkdError):
    """A job of the worker failed. code: as the worker tells it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CaseLoader:
    """Holds at most one case of the list in the scene. loaded: its nodes, None for none. doing: in words, or empty."""

    def __init__(self, scene: Any, dispatcher: JobDispatcher) -> None:
        self.scene = scene
        self.dispatcher = dispatcher
        self.loaded: ListedNodes | None = None
        self.doing = ""
        self._stamp: tuple = ()
        self._script: Script | None = None
        self._rest = False  # nodes came or went, which every view looks at: enough for this call
        self._then: Then = lambda error: None
        self._ticket: int | None = None
        self._ended: events.Event | None = None
        self._ahead: tuple[Job, FilesRead] | None = None
        self._coming: tuple[Job, int] | None = None

    @property
    def busy(self) -> bool:
        """True while a case is being read or saved."""
        return self._script is not None

    @property
    def present(self) -> bool:
        """True while the nodes of the loaded case are all in the scene."""
        return self.loaded is not None and all(self.scene.IsNodePresent(node) for node in self.loaded.all())

    def stamp(self) -> tuple:
        """What the masks of the loaded case are now; differs after an edit. Empty without a case."""
        if self.loaded is None or not self.scene.IsNodePresent(self.loaded.nodes.segmentation):
            return ()
        return segments_stamp(self.loaded.nodes.segmentation)

    @property
    def edited(self) -> bool:
        """True when the masks are not those that were read or saved last."""
        return self.stamp() not in ((), self._stamp)

    def open(self, case_id: str, files: Job, then: Then) -> None:
        """Read a case and put it into the scene in place of the loaded one, whose edits must be saved before."""
        self._begin(self._opening(case_id, files), _("Opening {case}").format(case=case_id), then)

    def save(self, path: Path, then: Then) -> None:
        """Write the masks of the loaded case to `path` as they are drawn now."""
        self._begin(self._saving(path), _("Saving the masks of {case}").format(case=self.loaded.case_id), then)

    def save_now(self, path: Path) -> None:
        """Write the masks while the caller waits: the scene or the program is about to close. Raises: ReactkdError."""
        stamp = self.stamp()
        save_at_once(self.loaded.nodes.segmentation, self.loaded.nodes.reference, path)
        self._stamp = stamp

    def read_ahead(self, files: Job) -> None:
        """Have a case read that will be opened next, while there is nothing else to do."""
        if self._coming is not None and self._coming[0] == files or self._ahead and self._ahead[0] == files:
            return
        self._forget_ahead()

        def ended(event: events.Event) -> None:
            wanted = self._coming is not None and self._coming[1] == ticket
            if wanted:
                self._coming = None
                if isinstance(event, events.JobDone):
                    self._ahead = files, event.result

        ticket = self.dispatcher.submit(ReadFiles(files), ended, background=True)
        self._coming = files, ticket

    def unload(self) -> None:
        """Take the loaded case out of the scene; edits that were not saved are lost."""
        self.stop()
        if self.loaded is not None:
            remove_case(self.scene, self.loaded)
        self.loaded, self._stamp = None, ()

    def forget(self) -> None:
        """Let go of the loaded case without touching the scene, which is closing."""
        self.stop()
        self.loaded, self._stamp = None, ()

    def stop(self) -> None:
        """Stop what is being done; the scene is as it was, and nobody hears of it."""
        self._then = lambda error: None
        if self._ticket is not None:
            self.dispatcher.cancel(self._ticket)
        self._end(None)
        self._forget_ahead()

    def work(self) -> None:
        """Do up to about 15 ms of what must be done here; call it from a timer."""
        until = time.perf_counter() + SLICE_S
        self._rest = False
        while self._script is not None and not self._rest and time.perf_counter() < until:
            if self._ticket is not None and self._ended is None:
                return
            self._step()

    def _begin(self, script: Script, doing: str, then: Then) -> None:
        if self._script is not None:
            raise RuntimeError(f"The loader is busy: {self.doing}.")
        self._script, self.doing, self._then = script, doing, then

    def _step(self) -> None:
        try:
            next(self._script)
        except StopIteration:
            self._end(None)
        except ReactkdError as error:
            self._end(error)
        except Exception as error:
            name, where = type(error).__name__, log_unforeseen(error, "the opening of a case")
            text = _("An unexpected fault stopped it ({name}); try again, and report it if it stays; {where}.").format(
                name=name, where=where
            )
            self._end(LoaderFault("unexpected", text))

    def _end(self, error: ReactkdError | None) -> None:
        script, then = self._script, self._then
        self._script = self._ticket = self._ended = None
        self.doing, self._then = "", lambda error: None
        if script is not None:
            script.close()
            then(error)

    def _opening(self, case_id: str, files: Job) -> Script:
        named = files.liver is not None or files.tumor is not None
        read = self._take_ahead(files)
        if read is None:
            read = yield from self._ask(ReadFiles(files))
        images, layers = yield from images_in_slices(read)
        self.scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
        try:
            if self.loaded is not None:
                remove_case(self.scene, self.loaded)
            self.loaded = add_case(self.scene, case_id, read, images, layers, named)
        finally:
            self.scene.EndState(slicer.vtkMRMLScene.BatchProcessState)
        self._stamp = self.stamp()
        self._rest = True
        yield

    def _saving(self, path: Path) -> Script:
        stamp, nodes = self.stamp(), self.loaded.nodes
        files = yield from hand_over_segments(nodes.segmentation, nodes.reference, self.dispatcher.client.scratch)
        yield from self._ask(SaveSegments(path, files))
        self._stamp = stamp
        if self._ahead is not None and self._ahead[0].segmentation == path:
            self._forget_ahead()

    def _ask(self, job: Any) -> Generator[None, None, Any]:
        def ended(event: events.Event) -> None:
            if self._ticket == ticket:
                self._ended = event

        ticket = self.dispatcher.submit(job, ended)
        self._ticket = ticket
        while self._ended is None:
            yield
        event, self._ticket, self._ended = self._ended, None, None
        if isinstance(event, events.JobFailed):
            raise LoaderFault(event.code, event.message)
        if isinstance(event, events.JobCanceled):
            raise LoaderFault("canceled", _("It was stopped."))
        return event.result

    def _take_ahead(self, files: Job) -> FilesRead | None:
        if self._ahead is None or self._ahead[0] != files:
            self._forget_ahead()
            return None
        (_, read), self._ahead = self._ahead, None
        return read

    def _forget_ahead(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None:
            self.dispatcher.cancel(coming[1])
        self._ahead = None
