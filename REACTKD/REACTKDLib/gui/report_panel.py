"""Section Report: export of the result to files, and grading of the whole list."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.dicom.series import is_dicom_source
from REACTKDLib.core.reports.html import PageExtras, write_page
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.review.table import review_csv
from REACTKDLib.core.text import isolated
from REACTKDLib.core.worker.batch_run import BatchRun
from REACTKDLib.core.worker.jobs import Model
from REACTKDLib.core.writing.atomic import write_text
from REACTKDLib.gui.dialogs import all_files, ask_folder, ask_target, confirm_replacing
from REACTKDLib.gui.packages import ensure_packages
from REACTKDLib.gui.pictures import pictures_of_views
from REACTKDLib.gui.section import Section
from REACTKDLib.gui.words import image_words, joined, plain
from REACTKDLib.scene.dicom_origin import dicom_file_of
from REACTKDLib.scene.exporting import DICOM_NAMES, CaseExporter
from REACTKDLib.scene.reading import Reading
from REACTKDLib.scene.translation import translated

MASK_SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii")


class ReportPanel(Section):
    """Saves the displayed result, and runs the batch."""

    ui_file = "ReportPanel.ui"

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        self.reading: Reading = context.reading
        self.batch: BatchRun | None = None
        self._saved = ""
        self._of: Any = None  # the case of this message
        self._fault = ""
        ui = self.ui
        ui.savePageButton.connect("clicked(bool)", self.on_page)
        ui.saveJsonButton.connect("clicked(bool)", self.on_json)
        ui.saveCsvButton.connect("clicked(bool)", self.on_csv)
        ui.saveMasksButton.connect("clicked(bool)", self.on_masks)
        ui.saveDicomButton.connect("clicked(bool)", self.on_dicom)
        self.exporter = CaseExporter(context.scene, context.dispatcher)
        self.exporter.state_changed.connect(self.on_exporter)
        self.exporter.written.connect(self.on_written)
        ui.batchButton.connect("clicked(bool)", self.on_batch)
        ui.cancelBatchButton.connect("clicked(bool)", self.on_cancel_batch)
        ui.saveTableButton.connect("clicked(bool)", self.on_table)
        self.reading.changed.connect(self._refresh_if_open)
        context.result_changed.connect(self.on_other_answer)
        self.refresh()

    # the displayed result

    def on_page(self, _checked: bool = False) -> None:
        """One page with pictures."""
        kinds = all_files(_("Web pages"), "*.html")
        self._save(_("Save the page"), ".html", kinds, lambda r, path: write_page(path, r, self._extras(r)))

    def on_json(self, _checked: bool = False) -> None:
        """The whole answer."""
        self._save(_("Save the result"), ".json", all_files(_("JSON files"), "*.json"), GradeReport.write_json)

    def on_csv(self, _checked: bool = False) -> None:
        """The table of regions."""
        self._save(_("Save the regions"), ".csv", all_files(_("Tables"), "*.csv"), GradeReport.write_csv)

    def on_masks(self, _checked: bool = False) -> None:
        """The masks as they are drawn now."""
        if self.context.nodes is None:
            return
        kinds = all_files(_("Segmentations and label maps"), " ".join(f"*{suffix}" for suffix in MASK_SUFFIXES))
        path = ask_target(
            _("Save the masks"),
            f"{self._file_name()}.seg.nrrd",
            kinds,
            suffixes=MASK_SUFFIXES,
        )
        if path is not None:
            self.exporter.save_masks(self.context.nodes, path)

    def on_dicom(self, _checked: bool = False) -> None:
        """Regions as a DICOM SEG and the report as an SR, for the archive that the images are from."""
        source, answer = self._dicom_source(), self.context.controller.answer
        if source is None or answer is None:
            self._saved = self._no_dicom(source)
            self.refresh()
            return
        folder = ask_folder(_("Save DICOM objects into a folder"))
        if folder is not None and confirm_replacing(*(folder / name for name in DICOM_NAMES)):
            self.exporter.export_dicom(answer.key, source, folder)

    def _no_dicom(self, source: Path | None) -> str:
        if source is None:
            image = image_words(next(iter(self.context.nodes.volumes)))
            text = _("The {image} was not loaded from DICOM, so there is no study that DICOM objects could belong to.")
            return text.format(image=image)
        return _("This result is from an earlier session; grade again before you write it as DICOM.")

    def _dicom_source(self) -> Path | None:
        """A file or folder of the series that the masks are drawn on."""
        if self.context.nodes is None:
            return None
        modality, node = next(iter(self.context.nodes.volumes.items()))
        case = self.context.listed_case
        listed = case.job.images.get(modality) if case is not None else None
        return listed if listed is not None and is_dicom_source(listed) else dicom_file_of(node)

    def on_exporter(self, _state: Any = None) -> None:
        """The exporter has started or ended."""
        if self.context.suspended:
            return
        if self.exporter.busy:
            self._saved = _("{step}...").format(step=translated(self.exporter.progress[1] or _("Writing")))
        elif self.exporter.error:
            self._saved = translated(self.exporter.error)
        self.refresh()

    def on_written(self, names: list[str]) -> None:
        """Say so."""
        self._saved = _("Saved as {name}.").format(name=joined(names))

    def poll(self) -> None:
        """Advance the work; called by the panel's timer."""
        self.exporter.poll()

    @property
    def working(self) -> bool:
        """True while DICOM files are written."""
        return self.exporter.busy

    def on_other_answer(self) -> None:
        """Clear the message on saving, which belongs to the former result."""
        self._saved = ""

    def _save(self, title: str, suffix: str, kinds: str, write: Any) -> None:
        report = self.context.report
        if report is None:
            return
        path = ask_target(title, self._file_name() + suffix, kinds)
        if path is not None:
            self._do(lambda: write(report, path), path)

    def _do(self, write: Any, path: Path) -> None:
        try:
            write()
            self._saved = _("Saved as {name}.").format(name=isolated(path.name))
        except ReactkdError as error:
            self._saved = translated(str(error))
        self.refresh()

    def _file_name(self) -> str:
        case = self.context.listed_case
        return case.file_name if case is not None else "reactkd"

    def _extras(self, report: GradeReport) -> PageExtras:
        self.context.pictures_wanted()
        overlay = self.context.state.view.overlay.offered_by(report)
        limit = overlay.limit(report)
        shown = [row for row in report.regions if row.kind != "topology"]
        case = self.context.listed_case
        known = self.reading.review.of(case.id) if case is not None and case.id == report.case else None
        return PageExtras(
            pictures=pictures_of_views(),
            colors={row.name: overlay.color(overlay.value_of(row), limit) for row in shown},
            reader_grade=known.reader_grade if known is not None else None,
            reviewed=known is not None and known.reviewed is not None,
            reader=self.reading.reader,
            comment=((known and known.comment) or {}).get("text", ""),
            made_at=datetime.now().strftime("%Y-%m-%d %H:%M"),
        )

    # the whole list

    def on_batch(self, _checked: bool = False) -> None:
        """Grade the list; edits of the open case are saved first, so that they are used."""
        if self.reading.cases is None or self._runs():
            return
        self._fault = ""
        try:
            ensure_packages()
        except ReactkdError as error:
            self._fault = plain(error, self.context.task)
            self.refresh()
            return
        self.reading.save(self._start)

    def _start(self) -> None:
        state, reading = self.context.state, self.reading
        model = Model(state.model, state.device)
        again = self.ui.againCheckBox.checked
        self.batch = BatchRun(
            reading.dispatcher, reading.cases, reading.review, reading.files_of, model, again, reading.changed
        )
        reading.changed()

    def on_cancel_batch(self, _checked: bool = False) -> None:
        """Stop within a second."""
        if self.batch is not None:
            self.batch.cancel()

    def on_table(self, _checked: bool = False) -> None:
        """Save the review of the list for a spreadsheet; edits are saved first, so that outdated results are marked."""
        reading = self.reading
        if reading.cases is None:
            return
        name = f"{reading.cases.path.stem}-review.csv"
        path = ask_target(_("Save the table of the list"), name, all_files(_("Tables"), "*.csv"))
        if path is not None:
            reading.save(lambda: self._do(lambda: write_text(path, review_csv(reading.cases, reading.review)), path))

    def _runs(self) -> bool:
        return self.batch is not None and self.batch.running

    # display

    def refresh(self) -> None:
        """Show what can be saved, and the progress of the batch."""
        ui, report = self.ui, self.context.report
        if self.context.nodes != self._of:
            self._of, self._saved = self.context.nodes, ""
        for button in (ui.savePageButton, ui.saveJsonButton, ui.saveCsvButton):
            button.enabled = report is not None and not self.context.busy
        free = not (self.context.busy or self.exporter.busy or self.context.leaving)
        ui.saveMasksButton.enabled = free and self.context.nodes is not None
        ui.saveDicomButton.enabled = free and report is not None and report.grade is not None
        ui.reportLabel.text = self._saved or (
            _("Save the result:") if report is not None else _("A result can be saved once a case is graded.")
        )
        self._show_batch()

    def _show_batch(self) -> None:
        ui, batch, reading = self.ui, self.batch, self.reading
        has_list, runs = reading.cases is not None, self._runs()
        if not has_list:
            self._fault = ""  # it belongs to the former list
        if batch is not None and batch.cases is not reading.cases:
            if runs:
                batch.cancel()  # its list was closed
            batch = self.batch = None
            runs = False
        ui.batchButton.enabled = has_list and not runs and not reading.locked and not reading.in_study
        ui.againCheckBox.enabled = has_list and not runs
        ui.cancelBatchButton.enabled = runs and batch.state == "running"
        ui.saveTableButton.enabled = has_list and not reading.locked
        ui.batchProgressBar.visible = runs
        ui.batchProgressBar.value = round(1000 * batch.fraction) if batch is not None else 0
        ui.batchLabel.text = self._batch_words(runs)

    def _batch_words(self, runs: bool) -> str:
        batch = self.batch
        if self.reading.cases is None:
            return _("Open a list in the section Cases to grade it in one go.")
        if self._fault:
            return self._fault
        if self.reading.in_study and not runs:
            return _("In a study no list is graded here; end the study first.")
        if batch is None:
            return _("Grades appear in the table of the section Cases; if a case fails, its row shows the reason.")
        if batch.state == "canceling":
            return _("Stopping...")
        if runs:
            words = _("{place} of {total}: {case}")
            return words.format(place=batch.done + 1, total=batch.total, case=isolated(batch.doing))
        return translated(batch.summary)

    def cleanup(self) -> None:
        """Stop the batch; finished cases are kept."""
        self.reading.changed.disconnect(self._refresh_if_open)
        self.context.result_changed.disconnect(self.on_other_answer)
        if self.batch is not None:
            self.batch.cancel()
        self.exporter.close()
        super().cleanup()
