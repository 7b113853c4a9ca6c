"""An open case: its images are prepared and encoded once, separately from everything that may change."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from REACTKDLib.core.errors import BundleMismatch, Canceled, NoVolume
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.grading.asked_case import for_task, whole_organ
from REACTKDLib.core.grading.device import FallbackRunner
from REACTKDLib.core.grading.encoded_field import MARGIN_MM, EncodedField, organ_box
from REACTKDLib.core.grading.grade_result import GradeResult, GradingInput, ModelOutput, compose_report, muted_nodes
from REACTKDLib.core.grading.untrained import ignored_inputs, unlike_training, unseen_combination
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.checks import RENEWED_FINDINGS, checked, rechecked
from REACTKDLib.core.masks.measures import RegionMeasures, measures_of
from REACTKDLib.core.masks.placement import Placement, place_regions
from REACTKDLib.core.masks.regions import RegionSet, regions_of
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import IsCanceled, OnProgress, never_canceled, no_progress
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.explain import Votes
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

if TYPE_CHECKING:
    from REACTKDLib.core.grading.runner import StudentRunner
    from REACTKDLib.core.student.network import FeatureMaps, Student


class Session:
    """An open case: its images are encoded once; its masks may change between grades.

    The network's field (its grid around the liver) is kept as long as the masks lead to the same one. case: as given,
    with its latest masks. The masks of a case are trusted: pass one that `masks.checks.checked` has cleaned, as
    `cases.open_case` and `scene.case` do.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str,
        make_runner: Callable[[Student, str], StudentRunner],
        case: Case,
        on_progress: OnProgress = no_progress,
        is_canceled: IsCanceled = never_canceled,
    ):
        self.bundle = bundle
        self.case = case = for_task(case, bundle)
        self.modalities = tuple(m for m in case.modalities if m in self.bundle.modalities)
        if not self.modalities:
            known = ", ".join(m.value for m in self.bundle.modalities)
            text = _("None of the images can be read by the model '{model}'; it reads {known}.")
            raise NoVolume(text, model=self.bundle.info["name"], known=known)
        self._runner = FallbackRunner(bundle.student, device, make_runner)
        self._placed: tuple[Case, RegionSet, Placement] | None = None
        self._measured: tuple[Case, tuple[RegionMeasures, ...]] | None = None
        self._cleaning, self._measuring = Memo(), Memo()
        self._timing_ms: dict[str, float] = {}
        self._field = self._read(case, on_progress, is_canceled)

    @property
    def device(self) -> str:
        """The current device, 'cpu' or 'cuda'."""
        return self._runner.device

    @property
    def encoder_calls(self) -> int:
        """Number of images that the student on the current device has encoded so far, including other cases."""
        return self._runner.current.student.encoder_calls

    def correct(
        self,
        liver: np.ndarray | None,
        tumor: np.ndarray | None,
        keep_specks: bool | None = None,
        lesions: np.ndarray | None = None,
        findings: Collection[Finding] | None = None,
    ) -> None:
        """Replace the masks, bool (D, H, W) as drawn: they are cleaned, and findings on masks are updated.

        None keeps a mask, or the setting of `keep_specks`. lesions: of the new tumor mask, see `Case`. findings: from
        reading the masks, see `DrawnMasks`; None keeps the present ones. Raises: what `masks.checks.rechecked` raises.
        """
        case = self.case if keep_specks is None else replace(self.case, keep_specks=keep_specks)
        self.case = rechecked(case, liver, tumor, self._cleaning, lesions, findings)

    def adopt(self, case: Case) -> bool:
        """Take over masks, id and units from another copy of the same case, if a new session would encode the same
        images.

        Returns False, and changes nothing, if the images differ or need another grid. Raises: what
        `masks.checks.checked` raises.
        """
        if not case.has_images_of(self.case):
            return False
        clean = checked(for_task(case, self.bundle))
        if not self._would_read(clean):
            return False
        self.case = clean
        return True

    def serves(self, case: Case) -> bool:
        """True if `adopt` would accept this case; nothing is changed. case: already checked."""
        return case.has_images_of(self.case) and self._would_read(case)

    def grade(
        self,
        liver: np.ndarray | None = None,
        tumor: np.ndarray | None = None,
        leave_out: Collection[Modality] = (),
        mute: Collection[str | int] = (),
    ) -> GradeResult:
        """Grade the case with these masks; arguments that are not given are taken from `case`.

        liver, tumor: bool (D, H, W) on the reference grid. leave_out: modalities to ignore, as if they had not been
        given. mute: regions, by name or by index into the report, to take out of the sum. A muted parenchyma remains
        the reference with which lesions are compared; if every lesion is muted, no grade is given. The encoder does not
        run, unless the liver mask moves the network's field.

        `uncertain` in the report follows the bundle's rule ("uncertain" in its metadata: top_below, margin_below); by
        default, the top probability is below 0.5 or leads the second by less than 0.1. Without a lesion no grade is
        given, which the finding `no-lesion` reports.

        Raises: NoLiver; NoVolume if every modality is left out; GeometryMismatch; UsageError for an unknown region.
        """
        given, output, findings = self.evaluate(liver, tumor, leave_out, mute)
        return compose_report(self.bundle, given, (output,), findings)

    def evaluate(
        self,
        liver: np.ndarray | None = None,
        tumor: np.ndarray | None = None,
        leave_out: Collection[Modality] = (),
        mute: Collection[str | int] = (),
        like: Session | None = None,
        models: Sequence[Bundle] = (),
    ) -> tuple[GradingInput, ModelOutput, tuple[Finding, ...]]:
        """Return the parts of the report: the input of the grading, the output of this model, and the findings of the
        case.

        like: another model's session of the same case on the same grid, which has just graded these masks; its regions
        and measurements are reused, and it has the findings on all models. models: all of an ensemble, for these
        findings. Raises: what `grade` raises.
        """
        used = tuple(m for m in self.modalities if m not in {Modality(m) for m in leave_out})
        if not used:
            raise NoVolume(_("Every image is left out; keep at least one."))
        if like is not None:
            case, self._measured = like._placed[0], like._measured
        else:
            case = self.case if liver is None and tumor is None else self._with_masks(liver, tumor)
        started = time.perf_counter()
        regions, placement, moved = self._place(case, like)
        reading = sum(self._timing_ms.values()) if moved else 0.0
        timing = {**self._timing_ms, "regions": _ms_since(started) - reading}
        self._timing_ms = {"prepare": 0.0, "encode": 0.0}
        field, muted = self._field, muted_nodes(mute, regions)
        started = time.perf_counter()
        decided = None
        if regions.lesions:
            decided = self._runner.run(
                lambda runner: runner.decide(*self._features(field, used), placement, field.memos)
            )
            self._check_numbers(decided.votes)
        timing["decide"] = _ms_since(started)
        started = time.perf_counter()
        measures = self._measures(case, regions)
        timing["regions"] += _ms_since(started)
        timing["total"] = sum(timing.values())
        models = models or (self.bundle,)
        unseen = () if like is not None else (*unseen_combination(used, models), *unlike_training(case, used, models))
        found = (*field.findings, *moved, *unseen, *self._runner.findings)
        draw = lambda predicted: self._voxel_map(field, regions, placement, used, predicted, muted)  # noqa: E731
        given = GradingInput(case.id, used, regions, measures, placement, muted)
        return given, ModelOutput(self.bundle, decided, found, self.device, timing, draw), case.findings

    def _measures(self, case: Case, regions: RegionSet) -> tuple[RegionMeasures, ...]:
        """Return diameters and uptake of these regions, computed once for the same masks."""
        if self._measured is None or self._measured[0] is not case:
            self._measured = case, measures_of(case, regions, self._measuring)
        return self._measured[1]

    def _check_numbers(self, votes: Votes) -> None:
        """Refuse results that are not finite: finite weights may still overflow, and with NaN for all grades the first
        would be predicted.
        """
        parts = (votes.weights, votes.scores, votes.bias, votes.null)
        if not all(np.isfinite(part).all() for part in parts):
            text = _(
                "The model {model} gives no number for this case; copy the model folder again, or choose another model."
            )
            raise BundleMismatch(text, model=quoted([self.bundle.info["name"]]))

    def _with_masks(self, liver: np.ndarray | None, tumor: np.ndarray | None) -> Case:
        """Return the case with other masks, without the findings on the old ones; the caller checks the new ones."""
        kept = tuple(finding for finding in self.case.findings if finding.code not in RENEWED_FINDINGS)
        return replace(self.case.with_masks(liver, tumor), findings=kept)

    def _place(self, case: Case, like: Session | None) -> tuple[RegionSet, Placement, tuple[Finding, ...]]:
        """Return regions and their placement. The images are read again if these masks lead to another field.

        The field depends only on the current masks, not on earlier ones, so that an edited case and a reopened one get
        the same grade.
        """
        if self._placed is not None and self._placed[0] is case:
            return (*self._placed[1:], ())
        moved: tuple[Finding, ...] = ()
        if not self._would_read(case):
            self._field = self._read(case)
            text = _("The corrected {organ} mask needs another part of the images, so they were read again.")
            moved = (Finding("field-moved", "info", text, organ=case.task.organ.name),)
        shells, shapes = self._runner.current.of_masks
        if like is not None and (shells, shapes) == like._runner.current.of_masks:
            _case, regions, placement = like._placed
        else:
            regions = regions_of(whole_organ(case)) if like is None else like._placed[1]
            placement = place_regions(regions, self._field.grid, shells, self._field.shells, shapes)
        self._placed = case, regions, placement
        return regions, placement, moved

    def _would_read(self, case: Case) -> bool:
        """True if a new session on `case`, another copy of the same case, would encode the same images on the same
        grid.

        Encoding again would then change nothing. Raises: NoLiver.
        """
        case = whole_organ(case)
        return self._field.covers(case, self.bundle.preparation.grid_for(case)[0])

    def _read(
        self, case: Case, on_progress: OnProgress = no_progress, is_canceled: IsCanceled = never_canceled
    ) -> EncodedField:
        """Prepare and encode all images on the grid that fits the masks of `case`."""

        def check() -> None:
            if is_canceled():
                raise Canceled(_("The grading was stopped; nothing was written."))

        check()
        on_progress(0.0, _("Reading the images"))
        started = time.perf_counter()
        case = whole_organ(case)
        grid, findings = self.bundle.preparation.grid_for(case)
        prepared = self.bundle.preparation(case, grid)
        images = {m.value: prepared.images[m] for m in self.modalities}
        findings = (*findings, *prepared.findings, *ignored_inputs(case.modalities, self.bundle))
        field = EncodedField(images, grid, organ_box(case, grid, MARGIN_MM), findings)
        prepare_ms = _ms_since(started)
        check()
        started = time.perf_counter()
        self._runner.run(lambda runner: self._encode(field, runner, on_progress, check))
        self._timing_ms = {"prepare": prepare_ms, "encode": _ms_since(started)}
        on_progress(1.0, _("Images read"))
        return field

    @staticmethod
    def _encode(
        field: EncodedField, runner: StudentRunner, on_progress: OnProgress = no_progress, check=lambda: None
    ) -> None:
        from REACTKDLib.core.grading.runner import merge

        parts = {}
        for n, (name, image) in enumerate(field.images.items()):
            text = _("Analyzing {image}").format(image=name.upper() if name != "acetate" else name)
            on_progress(0.2 + 0.8 * n / len(field.images), text)
            parts[name] = runner.encode(name, image, check, field.box)
        field.runner, field.features, field.fused = runner, merge(parts), None
        field.memos = {name: Memo() for name in field.images}

    def _features(self, field: EncodedField, used: tuple[Modality, ...]) -> tuple[FeatureMaps, list]:
        """Return feature maps of the modalities in use, and their fusion (kept until other modalities are used)."""
        if field.runner is not self._runner.current:  # the device has changed
            self._encode(field, self._runner.current)
        names = tuple(m.value for m in used)
        features = field.features.only(names)
        if field.fused is None or field.fused_for != names:
            field.fused, field.fused_for = self._runner.current.fuse(features), names
            field.memos["fused"] = Memo()
        return features, field.fused

    def _voxel_map(self, field, regions, placement, used, predicted, muted) -> np.ndarray:
        """Return the evidence for class `predicted` in logits per ml, on the reference grid."""
        from REACTKDLib.core.grading.voxel_map import gradient_map, onto_reference

        values = self._runner.run(
            lambda runner: gradient_map(runner, *self._features(field, used), placement, predicted, muted)
        )
        per_ml = 1000 / float(np.prod(placement.grid.spacing))
        return onto_reference(values * np.float32(per_ml), placement.grid, regions)


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
