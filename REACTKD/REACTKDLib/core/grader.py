"""Grading: a case is prepared and encoded once, then graded as often as its masks change.

session = Grader(Bundle.load(folder)).open(case)
result = session.grade()                       # result.report, result.regions, result.voxel_map
result = session.grade(tumor=corrected_mask)   # no encoder
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from REACTKDLib.core.bundle import Bundle
from REACTKDLib.core.case import Case, Modality
from REACTKDLib.core.errors import Canceled, NoLiver, NoVolume, UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.grade_result import GradeResult, compose_report
from REACTKDLib.core.grid import Grid
from REACTKDLib.core.placement import Placement, place_regions
from REACTKDLib.core.regions import RegionSet

if TYPE_CHECKING:
    from REACTKDLib.core.runner import StudentRunner
    from REACTKDLib.core.student.network import FeatureMaps, Student

Progress = Callable[[float, str], None]
Canceler = Callable[[], bool]
T = TypeVar("T")
# A region that loses more than this share of its volume beyond the network's field needs another field.
_MAY_LIE_OUTSIDE = 0.01


def _silent(fraction: float, text: str) -> None:
    pass


def _never() -> bool:
    return False


def _runner(student: Student, device: str) -> StudentRunner:
    from REACTKDLib.core.runner import StudentRunner

    return StudentRunner(student, device)


class Grader:
    """Grades cases with one bundle.

    device: 'auto' takes a GPU where there is one; 'cuda' wants one; 'cpu'. Trouble with the GPU never stops the work:
    the CPU takes over and a finding `device-fallback` says so. runner: makes a `StudentRunner`.
    Raises: UsageError for another device.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", runner: Callable[[Student, str], StudentRunner] = _runner):
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"There is no device '{device}'; choose auto, cpu or cuda.")
        self.bundle = bundle
        self.device = device
        self.make_runner = runner

    def open(self, case: Case, progress: Progress = _silent, cancelled: Canceler = _never) -> Session:
        """Prepare and encode `case`.

        progress(fraction, text) is told of every step; cancelled() is asked before every layer of the network.
        Raises: NoLiver, NoVolume (no input that the bundle knows), PetOffLiver, Canceled.
        """
        return Session(self, case, progress, cancelled)


@dataclass(eq=False)
class _Encoded:
    """What encoding leaves: feature maps of all modalities, and the network's grid."""

    features: FeatureMaps
    grid: Grid
    findings: tuple[Finding, ...]


class Session:
    """One open case. Masks may change from grade to grade; the images do not.

    Nor does the network's field, as long as it holds the regions.
    """

    def __init__(self, grader: Grader, case: Case, progress: Progress = _silent, cancelled: Canceler = _never):
        self.bundle = grader.bundle
        self.case = case
        self.modalities = tuple(m for m in case.modalities if m in self.bundle.modalities)
        if not self.modalities:
            known = ", ".join(m.value for m in self.bundle.modalities)
            raise NoVolume(
                f"None of the images can be read by the model '{self.bundle.info['name']}'; it reads {known}."
            )
        self._make_runner = grader.make_runner
        self._device_findings: tuple[Finding, ...] = ()
        self._runner: StudentRunner | None = self._first_runner(grader.device)
        self._fused: tuple | None = None
        self._regions: tuple | None = None
        self._timing_ms: dict[str, float] = {}
        self._encoded = self._encode(case, progress, cancelled)

    @property
    def device(self) -> str:
        """Where the session computes now: 'cpu' or 'cuda'."""
        return self._runner.device.type

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
    ) -> GradeResult:
        """Grade the case with these masks; what is not given is as in the case.

        liver, tumor: bool (D, H, W) on the reference grid. leave_out: modalities to do without, as if they had not been
        given. mute: regions, by name or by index into the report, to take out of the sum; the parenchyma stays what
        lesions are compared with even when muted. The encoder does not run, unless a mask leaves the network's field.

        `uncertain` in the report follows the bundle's rule ("uncertain" in its metadata: top_below, margin_below), by
        default: the top probability is below 0.5 or leads the second by less than 0.1. Without a lesion no grade is
        claimed and the finding `no-lesion` says so.

        Raises: NoLiver; NoVolume when every modality is left out; GeometryMismatch; UsageError for an unknown region.
        """
        used = tuple(m for m in self.modalities if m not in {Modality(m) for m in leave_out})
        if not used:
            raise NoVolume("Every image is left out; keep at least one.")
        started = time.perf_counter()
        regions, placement, moved = self._place(liver, tumor)
        timing = {**self._timing_ms, "regions": _ms_since(started)}
        self._timing_ms = {"prepare": 0.0, "encode": 0.0}
        findings = [*self.case.findings, *self._encoded.findings, *moved]
        muted = _muted(mute, regions)
        started = time.perf_counter()
        decided = None
        if regions.lesions:
            decided = self._with_fallback(lambda runner: runner.decide(*self._features(used), placement))
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
            findings=(*findings, *self._device_findings),
            device=self.device,
            timing_ms=timing,
            draw_map=lambda predicted: self._voxel_map(regions, placement, used, predicted, muted),
        )

    def _place(self, liver, tumor) -> tuple[RegionSet, Placement, tuple[Finding, ...]]:
        """Return regions and their placement; read the images again where the masks leave the network's field."""
        own = liver is None and tumor is None
        if own and self._regions is not None:
            return (*self._regions, ())
        case = _whole_organ(self.case.with_masks(liver, tumor), self.bundle)
        regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
        placement = place_regions(regions, self._encoded.grid, self._runner.uses_shells)
        moved: tuple[Finding, ...] = ()
        if placement.inside.min() < 1 - _MAY_LIE_OUTSIDE and not self._fits(case):
            self._encoded, self._fused, self._regions = self._encode(case), None, None
            placement = place_regions(regions, self._encoded.grid, self._runner.uses_shells)
            moved = (
                Finding(
                    "field-moved",
                    "info",
                    "The corrected masks reach beyond the part of the images that had been read, so it was read anew.",
                ),
            )
        if own:
            self._regions = regions, placement
        return regions, placement, moved

    def _fits(self, case: Case) -> bool:
        """True when a fresh run would use the grid of this session, so that reading again would change nothing."""
        return self._encoded.grid.same_as(self.bundle.preparation.grid_for(case)[0])

    def _encode(self, case: Case, progress: Progress = _silent, cancelled: Canceler = _never) -> _Encoded:
        def check() -> None:
            if cancelled():
                raise Canceled("The grading was stopped; nothing was written.")

        check()
        progress(0.0, "Reading the images")
        started = time.perf_counter()
        case = _whole_organ(case, self.bundle)
        grid, findings = self.bundle.preparation.grid_for(case)
        prepared = self.bundle.preparation(case, grid)
        findings += prepared.findings + self._ignored(case)
        self._timing_ms = {"prepare": _ms_since(started)}
        check()
        started = time.perf_counter()
        self._images = {m.value: prepared.images[m] for m in self.modalities}
        features = self._with_fallback(lambda runner: self._encode_images(runner, progress, check), encode=False)
        self._timing_ms["encode"] = _ms_since(started)
        progress(1.0, "Images read")
        return _Encoded(features, grid, findings)

    def _encode_images(self, runner: StudentRunner, progress: Progress = _silent, check=lambda: None) -> FeatureMaps:
        from REACTKDLib.core.runner import merge

        parts = {}
        for n, (name, image) in enumerate(self._images.items()):
            progress(0.2 + 0.8 * n / len(self._images), f"Analyzing {name.upper() if name != 'acetate' else name}")
            parts[name] = runner.encode(name, image, check)
        return merge(parts)

    def _features(self, used: tuple[Modality, ...]) -> tuple[FeatureMaps, list]:
        """Feature maps of the modalities in use, and their fusion (kept until other modalities are asked for)."""
        names = tuple(m.value for m in used)
        features = self._encoded.features.only(names)
        if self._fused is None or self._fused[0] != names:
            self._fused = names, self._runner.fuse(features)
        return features, self._fused[1]

    def _voxel_map(self, regions, placement, used, predicted, muted) -> np.ndarray:
        """Evidence for class `predicted` in logits per ml, on the reference grid."""
        from REACTKDLib.core.voxel_map import gradient_map, onto_reference

        values = self._with_fallback(
            lambda runner: gradient_map(runner, *self._features(used), placement, predicted, muted)
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
            return self._make_runner(self.bundle.student, "cuda")
        except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
            self._note_fallback(error)
            return self._make_runner(self.bundle.student, "cpu")

    def _with_fallback(self, work: Callable[[StudentRunner], T], encode: bool = True) -> T:
        """Return work(runner); when a GPU fails, go on with the CPU for good, after encoding again where needed."""
        try:
            return work(self._runner)
        except (RuntimeError, AssertionError) as error:
            if self.device == "cpu":
                raise
            self._note_fallback(error)
        self._runner, self._fused = self._make_runner(self.bundle.student, "cpu"), None
        if encode:
            self._encoded = replace(self._encoded, features=self._encode_images(self._runner))
        return work(self._runner)

    def _note_fallback(self, error: Exception) -> None:
        self._device_findings = (
            Finding("device-fallback", "warning", f"The GPU was not used: {_reason(error)}. The CPU did the work."),
        )


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
    return case.with_masks(liver=case.liver | case.tumor)


def _muted(mute: Collection[str | int], regions: RegionSet) -> tuple[int, ...]:
    """Return indices of nodes; the topology node comes after the regions."""
    from REACTKDLib.core.grade_result import TOPOLOGY_NAME

    names = [region.name for region in regions.regions] + [TOPOLOGY_NAME]
    indices = []
    for wish in mute:
        index = names.index(wish) if wish in names else wish
        if not isinstance(index, int) or not 0 <= index < len(names):
            raise UsageError(f"There is no region '{wish}'; the regions are {', '.join(names)}.")
        indices.append(index)
    return tuple(sorted(set(indices)))


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
