"""Loads cases of a list into the scene and saves their masks without blocking: a worker reads and writes.

loader = CaseLoader(scene, dispatcher)
loader.open("case-1", files, then)        # returns at once; then(None) when it is there, then(error) when it failed
timer.timeout -> loader.poll()
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import events
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.core.worker.files_read import FilesRead
from REACTKDLib.core.worker.jobs import ReadFiles, SaveSegments, SegmentFile
from REACTKDLib.scene.drawn_segments import save_at_once, save_in_steps, segments_stamp
from REACTKDLib.scene.hand_over import files_stamp
from REACTKDLib.scene.listed_nodes import ListedNodes, add_case, images_in_slices, remove_case
from REACTKDLib.scene.script_runner import RunState, Script, ScriptRunner

SAVE_PATIENCE_S = 5.0  # for the worker to finish a file; usually it takes a third of a second
_ALL = (0.0, 1.0)  # range of the progress
Then = Callable[[ReactkdError | None], Any]


def _ignore(error: ReactkdError | None) -> None:
    """Ignore the end of a job that nothing waits for."""


class CaseLoader(ScriptRunner):
    """Keeps at most one case of the list in the scene. loaded: its nodes, or None. doing: a description, or empty."""

    logged_as = "the opening of a case"
    unforeseen = _("An unexpected fault stopped it ({name}); try again, and report it if it stays; {where}.")
    stopped = _("It was stopped.")

    def __init__(self, scene: Any, dispatcher: JobDispatcher) -> None:
        super().__init__(dispatcher)
        self.scene = scene
        self.loaded: ListedNodes | None = None
        self.task: Callable[[], Task] = lambda: HCC_GRADE  # task of the model that will grade
        self.doing = ""
        self._stamp: tuple = ()
        self.graded: tuple = ()  # stamp of the masks of the result of the loaded case
        self._files: tuple = ()
        self._target: Path | None = None  # of the running save
        self._stamp_asked: tuple = ()  # stamp when another case was requested
        self._then: Then = _ignore
        self._ahead: tuple[Job, FilesRead] | None = None
        self._coming: tuple[Job, int] | None = None

    @property
    def present(self) -> bool:
        """True while the nodes of the loaded case are all in the scene."""
        return self.loaded is not None and self.loaded.nodes.present

    def stamp(self) -> tuple:
        """A stamp of the masks of the loaded case that changes with an edit. Empty without a case."""
        if self.loaded is None or self.loaded.nodes.segmentation.GetScene() is None:
            return ()
        return segments_stamp(self.loaded.nodes.segmentation)

    @property
    def edited(self) -> bool:
        """True if the masks differ from those read or saved last."""
        return self.stamp() not in ((), self._stamp)

    @property
    def images_changed(self) -> bool:
        """True if an image, or the position of the masks on it, differs from the files; no mask edit changes it."""
        return self.present and files_stamp(self.loaded.nodes) != self._files

    @property
    def drawn_meanwhile(self) -> bool:
        """True if the loaded case was edited after another one was requested; it has then stayed in the scene."""
        return self.stamp() not in ((), self._stamp_asked)

    def open(self, case_id: str, files: Job, then: Then) -> None:
        """Read a case and load it into the scene in place of the present one, whose edits must be saved before.

        If the present case is edited meanwhile, it stays: see `drawn_meanwhile`. The data read are kept for the next
        call.
        """
        self._stamp_asked, self._target = self.stamp(), None
        self._load(self._opening(case_id, files), _("Opening {case}").format(case=case_id), then)

    def save(self, path: Path, then: Then) -> None:
        """Write the masks of the loaded case to `path` as they are drawn now."""
        self._target = path
        self._load(self._saving(path), _("Saving the masks of {case}").format(case=self.loaded.case_id), then)

    def end_saving(self) -> Path | None:
        """Wait until the worker can no longer write the masks, and return the file if it has written them.

        Its older masks would otherwise replace those of `save_now`. The callback of the save is not called.
        """
        if self._ticket is None or self._target is None:
            return None
        ended: list[ReactkdError | None] = []
        self._then = ended.append
        self.dispatcher.settle(self._ticket, SAVE_PATIENCE_S)
        self._step()
        return self._target if ended == [None] else None

    def save_now(self, path: Path) -> None:
        """Write the masks synchronously: the scene or the program is about to close. Call `end_saving` before.

        Raises: ReactkdError.
        """
        stamp = self.stamp()
        save_at_once(self.loaded.nodes.segmentation, self.loaded.nodes.reference, path)
        self._stamp = stamp

    def read_ahead(self, files: Job) -> None:
        """Prefetch the case that will be opened next, while the worker is idle."""
        if self._coming is not None and self._coming[0] == files or self._ahead and self._ahead[0] == files:
            return
        self._forget_ahead()

        def ended(event: events.Event) -> None:
            wanted = self._coming is not None and self._coming[1] == ticket
            if wanted:
                self._coming = None
                if isinstance(event, events.JobDone):
                    self._ahead = files, event.result

        ticket = self.dispatcher.submit(ReadFiles(files, self.task()), ended, background=True)
        self._coming = files, ticket

    def unload(self) -> None:
        """Remove the loaded case from the scene; unsaved edits are lost."""
        self.stop()
        if self.loaded is not None:
            remove_case(self.scene, self.loaded)
        self.loaded, self._stamp, self._stamp_asked, self.graded = None, (), (), ()  # they hold images of the masks

    def forget(self) -> None:
        """Release the loaded case without touching the scene, which is closing."""
        self.stop()
        self.loaded, self._stamp, self._stamp_asked, self.graded = None, (), (), ()  # they hold images of the masks

    def stop(self) -> None:
        """Stop the current work; the scene is unchanged, and no callback is called."""
        self._then = _ignore
        self._finish(RunState.IDLE)
        self._forget_ahead()

    def _load(self, script: Script, doing: str, then: Then) -> None:
        if self.busy:
            raise RuntimeError(f"The loader is busy: {self.doing}.")
        self.doing, self._then = doing, then
        self._begin(script, lambda: True)

    def _end(self, fault: ReactkdError | None) -> None:
        then, self._then = self._then, _ignore
        super()._end(fault)
        then(fault)

    def _finish(self, state: RunState) -> None:
        self.doing = ""
        super()._finish(state)

    def _opening(self, case_id: str, files: Job) -> Script:
        named = files.liver is not None or files.tumor is not None
        read = self._take_ahead(files)
        if read is None:
            read = yield from self._ask(ReadFiles(files, self.task()), _ALL)
        images, layers = yield from images_in_slices(read)
        if self.drawn_meanwhile:
            self._ahead = files, read
            return
        self.scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
        try:
            if self.loaded is not None:
                remove_case(self.scene, self.loaded)
            self.loaded = add_case(self.scene, case_id, read, images, layers, named, self.task())
        finally:
            self.scene.EndState(slicer.vtkMRMLScene.BatchProcessState)
        self._stamp = self._stamp_asked = self.stamp()
        self._files = files_stamp(self.loaded.nodes)
        yield

    def _saving(self, path: Path) -> Script:
        stamp, nodes = self.stamp(), self.loaded.nodes

        def write(files: list[SegmentFile]) -> Script:
            yield from self._ask(SaveSegments(path, files), _ALL)

        client = self.dispatcher.client
        by_worker = yield from save_in_steps(nodes.segmentation, nodes.reference, path, client, write)
        self._stamp = stamp if by_worker else self.stamp()
        if self._ahead is not None and self._ahead[0].segmentation == path:
            self._forget_ahead()

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
