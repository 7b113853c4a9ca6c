"""One open case: images prepared and encoded once, and everything that may change kept apart from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from REACTKDLib.core.errors import Canceled, NoLiver, NoVolume, UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.grading.grade_result import GradeResult, compose_report
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.masks.checks import MASK_FINDINGS
from REACTKDLib.core.masks.placement import Placement, place_regions
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import Bundle

if TYPE_CHECKING:
    from REACTKDLib.core.grading.runner import StudentRunner
    from REACTKDLib.core.student.network import FeatureMaps, Student

Progress = Callable[[float, str], None]
Canceler = Callable[[], bool]
T = TypeVar("T")


def silent(fraction: float, text: str) -> None:
    """Progress that nobody watches."""


def never() -> bool:
    """Nobody cancels."""
    return False


@dataclass(eq=False)
class _Field:
    """One reading of the images: prepared on a grid, encoded by `runner`, fused for the modalities `fused_for`.

    shells, memos: what was worked out of lesions, for those that the next edit leaves alone; see `Student.pool`.
    """

    images: dict[str, np.ndarray]
    grid: Grid
    findings: tuple[Finding, ...]
    runner: StudentRunner | None = None
    features: FeatureMaps | None = None
    fused_for: tuple[str, ...] = ()
    fused: list | None = None
    shells: Memo = field(default_factory=Memo)
    memos: dict[str, Memo] = field(default_factory=dict)


class Session:
    """One open case. Masks may change from grade to grade; the images do not.

    Nor does the network's field, as long as a fresh reading of the masks would lay the same. device: where it computes
    now, 'cpu' or 'cuda'.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str,
        make_runner: Callable[[Student, str], StudentRunner],
        case: Case,
        progress: Progress = silent,
        cancelled: Canceler = never,
    ):
        self.bundle = bundle
        self.case = case
        self.modalities = tuple(m for m in case.modalities if m in self.bundle.modalities)
        if not self.modalities:
            known = ", ".join(m.value for m in self.bundle.modalities)
            raise NoVolume(
                f"None of the images can be read by the model '{self.bundle.info['name']}'; it reads {known}."
            )
        self._make_runner = make_runner
        self._device_findings: tuple[Finding, ...] = ()
        self.device = "cpu"
        self._runner: StudentRunner = self._first_runner(device)
        self._own: tuple[RegionSet, Placement] | None = None
        self._timing_ms: dict[str, float] = {}
        self._field = self._read(case, progress, cancelled)

    @property
    def encoder_calls(self) -> int:
        """How many images the student of this session's device has encoded so far."""
        return self._runner.student.encoder_calls

    def grade(
        self,
        liver: np.ndarray | None = None,
        tumor: np.ndarray | None = None,
        leave_out: Collection[Modality] = (),
        mute: Collection[str | int] = (),
        regions: RegionSet | None = None,
    ) -> GradeResult:
        """Grade the case with these masks; what is not given is as in the case.

        liver, tumor: bool (D, H, W) on the reference grid. leave_out: modalities to do without, as if they had not been
        given. mute: regions, by name or by index into the report, to take out of the sum; the parenchyma stays what
        lesions are compared with even when muted, and with every lesion muted no grade is claimed. regions: of these
        very masks, where the caller has them already. The encoder does not run, unless the liver moves the network's
        field.

        `uncertain` in the report follows the bundle's rule ("uncertain" in its metadata: top_below, margin_below), by
        default: the top probability is below 0.5 or leads the second by less than 0.1. Without a lesion no grade is
        claimed and the finding `no-lesion` says so.

        Raises: NoLiver; NoVolume when every modality is left out; GeometryMismatch; UsageError for an unknown region.
        """
        used = tuple(m for m in self.modalities if m not in {Modality(m) for m in leave_out})
        if not used:
            raise NoVolume("Every image is left out; keep at least one.")
        started = time.perf_counter()
        regions, placement, moved = self._place(liver, tumor, regions)
        reading = sum(self._timing_ms.values()) if moved else 0.0
        timing = {**self._timing_ms, "regions": _ms_since(started) - reading}
        self._timing_ms = {"prepare": 0.0, "encode": 0.0}
        field, muted = self._field, _muted(mute, regions)
        known = self._known_findings(own=liver is None and tumor is None)
        started = time.perf_counter()
        decided = None
        if regions.lesions:
            decided = self._with_fallback(
                lambda runner: runner.decide(*self._features(field, used), placement, field.memos)
            )
        timing["decide"] = _ms_since(started)
        timing["total"] = sum(timing.values())
        return compose_report(
            bundle=self.bundle,
            case_id=self.case.id,
            used=used,
            regions=regions,
            placement=placement,
            decided=decided,
            muted=muted,
            findings=(*known, *field.findings, *moved, *self._device_findings),
            device=self.device,
            timing_ms=timing,
            draw_map=lambda predicted: self._voxel_map(field, regions, placement, used, predicted, muted),
        )

    def _known_findings(self, own: bool) -> tuple[Finding, ...]:
        """The case's findings; with other masks, those on the old ones are left to who checks the new ones."""
        return tuple(f for f in self.case.findings if own or f.code not in MASK_FINDINGS)

    def _place(self, liver, tumor, regions: RegionSet | None) -> tuple[RegionSet, Placement, tuple[Finding, ...]]:
        """Return regions and their placement; read the images again where a fresh reading would lay another field.

        The field follows from these masks, never from those before: an edited case grades as it does reopened.
        """
        own = liver is None and tumor is None
        if own and self._own is not None:
            return (*self._own, ())
        case = _whole_organ(self.case.with_masks(liver, tumor), self.bundle)
        if regions is None or own:
            regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
        moved: tuple[Finding, ...] = ()
        if not self.would_read(case):
            self._field, self._own = self._read(case), None
            moved = (
                Finding(
                    "field-moved",
                    "info",
                    "The corrected liver needs another part of the images than had been read, so they were read anew.",
                ),
            )
        placement = place_regions(regions, self._field.grid, self._runner.uses_shells, self._field.shells)
        if own:
            self._own = regions, placement
        return regions, placement, moved

    def would_read(self, case: Case) -> bool:
        """True when a fresh run on `case`, another reading of the same images, would encode what this session has.

        So that encoding again changes nothing. Raises: NoLiver.
        """
        case = _whole_organ(case, self.bundle)
        return self._field.grid.same_as(self.bundle.preparation.grid_for(case)[0])

    def _read(self, case: Case, progress: Progress = silent, cancelled: Canceler = never) -> _Field:
        """Prepare and encode all images on the grid that fits the masks of `case`."""

        def check() -> None:
            if cancelled():
                raise Canceled("The grading was stopped; nothing was written.")

        check()
        progress(0.0, "Reading the images")
        started = time.perf_counter()
        case = _whole_organ(case, self.bundle)
        grid, findings = self.bundle.preparation.grid_for(case)
        prepared = self.bundle.preparation(case, grid)
        images = {m.value: prepared.images[m] for m in self.modalities}
        field = _Field(images, grid, (*findings, *prepared.findings, *self._ignored(case)))
        prepare_ms = _ms_since(started)
        check()
        started = time.perf_counter()
        self._with_fallback(lambda runner: self._encode(field, runner, progress, check))
        self._timing_ms = {"prepare": prepare_ms, "encode": _ms_since(started)}
        progress(1.0, "Images read")
        return field

    @staticmethod
    def _encode(field: _Field, runner: StudentRunner, progress: Progress = silent, check=lambda: None) -> None:
        from REACTKDLib.core.grading.runner import merge

        parts = {}
        for n, (name, image) in enumerate(field.images.items()):
            progress(0.2 + 0.8 * n / len(field.images), f"Analyzing {name.upper() if name != 'acetate' else name}")
            parts[name] = runner.encode(name, image, check)
        field.runner, field.features, field.fused = runner, merge(parts), None
        field.memos = {name: Memo() for name in field.images}

    def _features(self, field: _Field, used: tuple[Modality, ...]) -> tuple[FeatureMaps, list]:
        """Feature maps of the modalities in use, and their fusion (kept until other modalities are asked for)."""
        if field.runner is not self._runner:  # another device has taken over
            self._encode(field, self._runner)
        names = tuple(m.value for m in used)
        features = field.features.only(names)
        if field.fused is None or field.fused_for != names:
            field.fused, field.fused_for = self._runner.fuse(features), names
            field.memos["fused"] = Memo()
        return features, field.fused

    def _voxel_map(self, field, regions, placement, used, predicted, muted) -> np.ndarray:
        """Evidence for class `predicted` in logits per ml, on the reference grid."""
        from REACTKDLib.core.grading.voxel_map import gradient_map, onto_reference

        values = self._with_fallback(
            lambda runner: gradient_map(runner, *self._features(field, used), placement, predicted, muted)
        )
        per_ml = 1000 / float(np.prod(placement.grid.spacing))
        return onto_reference(values * np.float32(per_ml), placement.grid, regions)

    def _ignored(self, case: Case) -> tuple[Finding, ...]:
        return tuple(
            Finding("input-ignored", "warning", f"The model does not read {m.value}; it was not used.")
            for m in case.modalities
            if m not in self.modalities
        )

    def _first_runner(self, wish: str) -> StudentRunner:
        import torch

        if wish == "cpu" or (wish == "auto" and not torch.cuda.is_available()):
            return self._make_runner(self.bundle.student, "cpu")
        try:
            runner = self._make_runner(self.bundle.student, "cuda")
        except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
            return self._cpu_runner(error)
        self.device = "cuda"
        return runner

    def _with_fallback(self, work: Callable[[StudentRunner], T]) -> T:
        """Return work(runner); when a GPU fails, the CPU does it, and all that comes after."""
        try:
            return work(self._runner)
        except (RuntimeError, AssertionError) as error:
            if self.device == "cpu":
                raise
            self._runner = self._cpu_runner(error)
        return work(self._runner)

    def _cpu_runner(self, error: Exception) -> StudentRunner:
        """Return a runner on the CPU, and remember why."""
        self.device = "cpu"
        self._device_findings = (
            Finding("device-fallback", "warning", f"The GPU was not used: {_reason(error)}. The CPU did the work."),
        )
        return self._make_runner(self.bundle.student, "cpu")


def _reason(error: Exception) -> str:
    import torch

    text = str(error).lower()
    if isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in text:
        return "it has too little free memory"
    if "no kernel image" in text:
        return "the installed PyTorch does not support this model of GPU"
    if not torch.cuda.is_available():
        return "PyTorch finds none"
    return "it reported an error"


def _whole_organ(case: Case, bundle: Bundle) -> Case:
    """Return the case with lesions counted as part of the organ. Raises: NoLiver when the organ's mask is empty."""
    if not case.liver.any():
        organ = bundle.info["organ"].lower()
        raise NoLiver(f"The {organ} mask is empty; draw the {organ}, or choose the segment that holds it.")
    box = bounding_box(case.tumor)
    if box is None or not (case.tumor[box] & ~case.liver[box]).any():
        return case
    return case.with_masks(liver=case.liver | case.tumor)


def _muted(mute: Collection[str | int], regions: RegionSet) -> tuple[int, ...]:
    """Return indices of nodes; the topology node comes after the regions."""
    from REACTKDLib.core.grading.grade_result import TOPOLOGY_NAME

    names = [region.name for region in regions.regions] + [TOPOLOGY_NAME]
    indices = []
    for wish in mute:
        index = names.index(wish) if wish in names else wish
        if not isinstance(index, (int, np.integer)) or not 0 <= index < len(names):
            raise UsageError(f"There is no region '{wish}'; the regions are {', '.join(names)}.")
        indices.append(int(index))
    return tuple(sorted(set(indices)))


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
