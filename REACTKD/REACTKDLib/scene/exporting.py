"""Exports the current case to files for other programs: masks as drawn, and the result as DICOM objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import InputGone
from REACTKDLib.core.reports.dicom_export import REGIONS, REPORT
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.drawn_segments import save_in_steps
from REACTKDLib.scene.script_runner import Script, ScriptRunner
from REACTKDLib.scene.signal import Signal

DICOM_NAMES = (REPORT, REGIONS)  # of the files that `export_dicom` writes


class CaseExporter(ScriptRunner):
    """Writes in the worker. Both methods return at once; `poll` does the work: see `ScriptRunner`.

    saved: the names of the files written last, initially empty. Signals: those of `ScriptRunner`, written(names).
    """

    def __init__(self, scene: Any, dispatcher: JobDispatcher | None = None) -> None:
        super().__init__(dispatcher)
        self.scene = scene
        self.written = Signal()

    def save_masks(self, nodes: CaseNodes, path: Path) -> None:
        """Write all segments of a case as they are drawn now, in the format of the suffix."""
        if not self.busy:
            segmentation = nodes.segmentation
            self._begin(self._saving(nodes, path), lambda: self.scene.IsNodePresent(segmentation))

    def export_dicom(self, key: str, source: Path, folder: Path) -> None:
        """Write `regions.dcm` and `report.dcm` of the graded case that is open in the worker as `key`."""
        if not self.busy:
            self._begin(self._exporting(jobs.ExportDicom(key, source, folder)), lambda: True)

    def close(self) -> None:
        """Stop everything. May be called twice."""
        self.written.disconnect_all()
        super().close()

    def _gone(self) -> InputGone:
        return InputGone(_("The masks were removed before they were saved."))

    def _saving(self, nodes: CaseNodes, path: Path) -> Script:
        self._set_progress(0.0, _("Reading the masks"))

        def write(files: list[jobs.SegmentFile]) -> Script:
            self._alive = lambda: True  # the worker has all that it needs
            yield from self._ask(jobs.SaveSegments(path, files), (0.2, 1.0))

        yield from save_in_steps(nodes.segmentation, nodes.reference, path, self.dispatcher.client, write)
        self.written([path.name])

    def _exporting(self, job: jobs.ExportDicom) -> Script:
        self._set_progress(0.0, _("Writing DICOM"))
        yield from self._ask(job, (0.0, 1.0))
        self.written(list(DICOM_NAMES))
