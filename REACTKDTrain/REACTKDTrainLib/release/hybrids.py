"""Accuracy of a student on real livers: lesions of known biology simulated in every scan, and the same in phantoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import MODALITIES, SUBSETS, subset_name
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.hybrid import hybrid_case
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.cohorts.sizes import SIZES
from REACTKDTrainLib.data.limits import limit_of
from REACTKDTrainLib.evaluation.auc import class_aucs
from REACTKDTrainLib.evaluation.bootstrap import crossed_weights, interval95
from REACTKDTrainLib.nodes.node_store import NodeCase
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.train import predict
from REACTKDTrainLib.progress import WeightedProgress
from REACTKDTrainLib.release.hybrid_blocks import block_shifts, blocks_of, with_block
from REACTKDTrainLib.release.hybrid_nodes import AS_SCANNED, HybridNodes, LiverIntensities

#: grades of lesions number 0, 1, 2, 3, repeated: the prevalence of the biology
CYCLE = (0, 1, 2, 1)
#: numbers of phantom bodies that no student was trained on; their own lesions belong to no region
BODIES_FROM = 700_000
LEVEL, NOISE = "liver level", "noise level"
#: changes to the image that are applied to real scans, and those also applied to phantoms, where they should cost
#: nothing
CHANGES_OF_SCANS, CHANGES_OF_PHANTOMS = (LEVEL, NOISE), (LEVEL,)


@dataclass(frozen=True)
class HybridSettings:
    """lesions: number of patients whose lesions are simulated in each scan, from number `first`; phantoms: number of
    phantom bodies; draws: of the bootstrap.
    """

    lesions: int = 40
    first: int = 0
    phantoms: int = 3
    draws: int = 2000

    def __post_init__(self) -> None:
        """Raises: UsageError for numbers that allow no conclusion."""
        if self.lesions < len(CYCLE) or self.lesions % len(CYCLE):
            raise UsageError(
                "The number of lesions for each scan is a multiple of 4, so that grades have their shares."
            )
        if self.phantoms < 2:
            raise UsageError("At least two phantoms are needed, so that they can be compared with each other.")

    @property
    def seeds(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + self.lesions)

    @property
    def grades(self) -> np.ndarray:
        """(n,) grade of each."""
        return np.array([CYCLE[seed % len(CYCLE)] for seed in self.seeds])

    def cases(self, scan: CohortCase) -> list[CohortCase]:
        """Return all hybrids of a scan."""
        return [hybrid_case(scan, seed, int(grade)) for seed, grade in zip(self.seeds, self.grades, strict=True)]


def evaluate_hybrids(
    bundle: Bundle,
    scans: Sequence[CohortCase],
    work: Path,
    settings: HybridSettings = HybridSettings(),
    workers: int = 1,
    on_progress: OnProgress = no_progress,
) -> dict:
    """Simulate lesions in scans and phantoms, grade all cases, and compare; see `hybrid_page` for the tables.

    scans: cases with a CT and the mask of the liver; their grades are not used. work: stores the hybrid cases and the
    node vectors, so another student takes a fraction of the time.

    Returns {model, biology, lesions, phantoms, liver_intensities: scan -> {level, noise}, scans, skipped, subsets:
    inputs -> {scans, rows, differences}, blocks, swaps}.

    Raises: UsageError if no scan can be used.

    Example:
        >>> found = evaluate_hybrids(Bundle.load("model"), open_cohort("scans.json").cases, Path("work"))
        >>> found["subsets"]["ct"]["rows"]["real scans"]["auc"]
    """
    nodes = HybridNodes(Path(work), bundle)
    usable = [scan for scan in scans if "ct" in scan.modalities]
    bodies = _bodies(bundle, settings.phantoms)
    progress = WeightedProgress({"scans": len(usable) or 1, "phantoms": len(bodies), "changes": 2}, on_progress)
    skipped = {scan.id: "It has no CT." for scan in scans if "ct" not in scan.modalities}
    for part, group in (("scans", usable), ("phantoms", bodies)):
        cases = [case for scan in group for case in settings.cases(scan)]
        skipped |= nodes.make(cases, workers=workers, on_progress=progress.part(part))
    kept = _drawn_everywhere(settings, usable, bodies, skipped)
    wanted = LiverIntensities.mean(
        [LiverIntensities.of(nodes.prepared(settings.cases(body)[kept.seeds[0]])) for body in bodies]
    )
    changing = progress.part("changes")
    for changes, group in ((CHANGES_OF_SCANS, kept.scans), (CHANGES_OF_PHANTOMS, bodies)):
        cases = [settings.cases(scan)[n] for scan in group for n in kept.seeds]
        nodes.make(cases, changes, wanted, workers, changing if group is bodies else no_progress)
    evaluation = _Evaluation(nodes, settings, kept, bodies, wanted)
    subsets = [s for s in SUBSETS if any(set(s) <= set(scan.modalities) for scan in kept.scans)]
    return {
        "model": {"name": bundle.info["name"], "version": bundle.info["version"]},
        "biology": bundle.info.get("training", {}).get("cohort", ""),
        "lesions": len(kept.seeds),
        "phantoms": len(bodies),
        "liver_intensities": {scan.id: evaluation.intensities(scan) for scan in (*kept.scans, *bodies)},
        "scans": [scan.id for scan in kept.scans],
        "skipped": skipped,
        "subsets": {subset_name(s): evaluation.subset(s) for s in subsets},
        "blocks": {subset_name(s): evaluation.shifts(s) for s in subsets if len(s) == 1},
        "swaps": {subset_name(s): evaluation.swaps(s) for s in subsets},
    }


def _bodies(bundle: Bundle, count: int) -> list[CohortCase]:
    """Return phantom bodies, scanned at the size whose grid the student has; at full size if there is none."""
    spacing = bundle.preparation.spacing_mm
    size = next((name for name, (_, own, _) in SIZES.items() if own == spacing), "full")
    return [phantom_case("large", BODIES_FROM + n, size) for n in range(count)]


@dataclass(frozen=True)
class _Kept:
    """scans that can be used, and the indices of the lesions that could be simulated in all of them."""

    scans: list[CohortCase]
    seeds: list[int]


def _drawn_everywhere(
    settings: HybridSettings, scans: list[CohortCase], bodies: list[CohortCase], skipped: Mapping[str, str]
) -> _Kept:
    """Exclude scans in which most lesions could not be simulated, then lesions that failed anywhere."""
    failed = {
        scan.id: {n for n, case in enumerate(settings.cases(scan)) if case.id in skipped} for scan in (*scans, *bodies)
    }
    usable = [scan for scan in scans if len(failed[scan.id]) <= settings.lesions // 2]
    if not usable:
        raise UsageError(
            "No scan can be used: each needs a CT and the mask of a liver with room for lesions. Look at them with "
            "`cohorts open`."
        )
    lost = set().union(*(failed[scan.id] for scan in (*usable, *bodies)))
    seeds = [n for n in range(settings.lesions) if n not in lost]
    if set(settings.grades[seeds]) != set(CYCLE):
        raise UsageError("Too few lesions found room in all scans; take more of them, or leave out the smallest liver.")
    return _Kept(usable, seeds)


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """Predictions and comparisons, from node vectors that are all available."""

    nodes: HybridNodes
    settings: HybridSettings
    kept: _Kept
    bodies: list[CohortCase]
    wanted: LiverIntensities

    @property
    def student(self) -> Student:
        return self.nodes.bundle.student

    @property
    def grades(self) -> np.ndarray:
        return self.settings.grades[self.kept.seeds]

    def cases(self, scan: CohortCase, change: str = AS_SCANNED) -> list[NodeCase]:
        hybrids = self.settings.cases(scan)
        return [self.nodes.get(hybrids[n], change, self.wanted) for n in self.kept.seeds]

    def intensities(self, scan: CohortCase) -> dict:
        own = LiverIntensities.of(self.nodes.prepared(self.settings.cases(scan)[self.kept.seeds[0]]))
        return {name: {m: round(v, 2) for m, v in getattr(own, name).items()} for name in ("level", "noise")}

    def p(self, scans: Sequence[CohortCase], subset: tuple[str, ...], change: str = AS_SCANNED) -> np.ndarray:
        """(scans, n, K)."""
        return np.array([predicted(self.student, self.cases(scan, change), subset) for scan in scans])

    def subset(self, subset: tuple[str, ...]) -> dict:
        """Return rows and differences for one set of images, over the scans that have it."""
        scans = [scan for scan in self.kept.scans if set(subset) <= set(scan.modalities)]
        real, phantom = self.p(scans, subset), self.p(self.bodies, subset)
        latents = [case.truth.latents for case in self.cases(scans[0])]
        limit = limit_of(latents, subset_name(subset), masks=True)[None]
        changed = {f"real scans, {change}": self.p(scans, subset, change) for change in CHANGES_OF_SCANS}
        changed |= {f"phantoms, {change}": self.p(self.bodies, subset, change) for change in CHANGES_OF_PHANTOMS}
        groups = {"phantoms": phantom, "real scans": real, **changed}
        groups |= {f"in {scan.id}": own[None] for scan, own in zip(scans, real, strict=True)} if len(scans) > 1 else {}
        groups["exact limit"] = limit
        pairs = {f"{name} minus as scanned": (p, real if "real" in name else phantom) for name, p in changed.items()}
        found = {name: self._difference(*pair) for name, pair in pairs.items()}
        return {
            "scans": [scan.id for scan in scans],
            "rows": {name: self._row(p) for name, p in groups.items()},
            "differences": {"real scans minus phantoms": self._difference(real, phantom, False), **found},
        }

    def shifts(self, subset: tuple[str, ...]) -> dict:
        """Return the distances between the same lesions in node vectors: see `block_shifts`."""
        scans = [scan for scan in self.kept.scans if set(subset) <= set(scan.modalities)]
        own = {scan.id: self.cases(scan) for scan in scans}
        return block_shifts(own, [self.cases(body) for body in self.bodies], subset, blocks_of(self.student))

    def swaps(self, subset: tuple[str, ...]) -> dict:
        """Macro AUC gained on real scans if one block is replaced by that of the same lesions in a phantom."""
        scans = [scan for scan in self.kept.scans if set(subset) <= set(scan.modalities)]
        real, out = [self.cases(scan) for scan in scans], {}
        others = [self.cases(self.bodies[n % len(self.bodies)]) for n in range(len(scans))]
        before = np.array([predicted(self.student, own, subset) for own in real])
        blocks = blocks_of(self.student)
        for name, chosen in {**{b: (b,) for b in blocks}, "all of them": blocks}.items():
            swapped = [
                [with_block(a, b, chosen) for a, b in zip(own, other, strict=True)]
                for own, other in zip(real, others, strict=True)
            ]
            after = np.array([predicted(self.student, own, subset) for own in swapped])
            out[name] = self._difference(after, before)
        return out

    def _row(self, p: np.ndarray) -> dict:
        value, draws = self._auc(p)
        return {
            "auc": round(value, 4),
            "interval95": np.round(interval95(draws), 4).tolist(),
            "accuracy": round(float((p.argmax(axis=2) == self.grades).mean()), 4),
            "mean_probabilities": np.round(p.mean(axis=(0, 1)), 3).tolist(),
        }

    def _difference(self, a: np.ndarray, b: np.ndarray, same_scans: bool = True) -> dict:
        """Macro AUC of a minus that of b, over the same lesions; other scans are resampled independently."""
        (first, left), (second, right) = self._auc(a), self._auc(b, 0 if same_scans else 1)
        return {"difference": round(first - second, 4), "interval95": np.round(interval95(left - right), 4).tolist()}

    def _auc(self, p: np.ndarray, scan_seed: int = 0) -> tuple[float, np.ndarray]:
        grades = np.tile(self.grades, len(p))
        weights = crossed_weights(self.grades, len(p), self.settings.draws, scan_seed=scan_seed)
        flat = p.reshape(len(grades), -1)
        weighted = class_aucs(grades, flat, weights.reshape(len(weights), -1)).mean(axis=1)
        return float(class_aucs(grades, flat).mean()), weighted


def predicted(student: Student, cases: Sequence[NodeCase], subset: tuple[str, ...]) -> np.ndarray:
    """Return probabilities (n, K) with the images of `subset`, which all cases have; others may be absent."""
    return predict(student, NodeTable.of([_with_places(case, subset) for case in cases]), subset).numpy()


def _with_places(case: NodeCase, subset: tuple[str, ...]) -> NodeCase:
    """Add the other images as zeros, because a table needs the same images for all cases; the student ignores them."""
    regions = []
    for own in case.regions:
        some = own.fixed[subset[0]]
        fixed = {m: own.fixed[m] if m in subset else torch.zeros_like(some) for m in MODALITIES}
        fused = {name: x for name, x in own.fused.items() if name == subset_name(subset)}
        regions.append(replace(own, fixed=fixed, fused=fused))
    return replace(case, regions=tuple(regions))
