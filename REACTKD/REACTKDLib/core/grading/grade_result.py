"""The result of one grading: the report, the regions behind it, and the voxel map, drawn when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.masks.placement import Placement
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.region_values import VALUES, plain_values
from REACTKDLib.core.reports.report import GradeReport, ReportModel, ReportRegion
from REACTKDLib.core.student.explain import UncertaintyRule, Votes, cosine_edges, softmax
from REACTKDLib.core.student.shares import redundant_nodes, shares_of
from REACTKDLib.core.text import tr as _

if TYPE_CHECKING:
    from REACTKDLib.core.grading.runner import Decided
    from REACTKDLib.core.student.bundle import Bundle

TOPOLOGY_NAME = _("Number and shape of lesions")
# A lesion smaller than this many grid voxels does not fill one cell of the encoder's maps at half resolution.
_LOW_RESOLUTION_CELLS = 8.0
# Of the positive voxels, so that one hot voxel does not darken all others.
_SHOWN_PERCENT = 99.5


@dataclass(frozen=True, eq=False)
class GradeResult:
    """One answer.

    report: for people and files. regions: label i + 1 of its map is report.regions[i]. votes: the head's numbers in
    float64, None where no grade is claimed.
    """

    report: GradeReport
    regions: RegionSet
    votes: Votes | None
    _draw: Callable[[], np.ndarray] | None

    @cached_property
    def _voxel_map(self) -> tuple[np.ndarray, float]:
        if self._draw is None:
            return np.zeros(self.regions.labels.shape, dtype=np.float32), 0.0
        values = self._draw()
        positive = values[values > 0]
        if positive.size == 0:
            return values, 0.0
        top = float(np.percentile(positive, _SHOWN_PERCENT))
        np.divide(values, top, out=values)
        return np.minimum(values, 1.0, out=values), top

    @property
    def voxel_map(self) -> Volume:
        """Evidence for the predicted class on the reference grid, 0 to 1, 0 outside the regions. See `voxel_map.py`.

        Costs a backward pass through the pooling when first asked for. All zeros where no grade is claimed.
        """
        values, scale = self._voxel_map
        name = f"Evidence for {self.report.grade} (1 = {scale:.3g} logit/ml)" if scale > 0 else _("No evidence")
        return Volume(values, self.regions.ijk_to_ras, name=name, checked=True)

    @property
    def voxel_map_scale(self) -> float:
        """What 1 in the voxel map stands for, in logits per ml of tissue; stronger evidence is shown as 1 too."""
        return self._voxel_map[1]


def compose_report(
    *,
    bundle: Bundle,
    case_id: str,
    used: Sequence[Modality],
    regions: RegionSet,
    measures: Sequence[RegionMeasures],
    placement: Placement,
    decided: Decided | None,
    muted: Sequence[int],
    findings: Sequence[Finding],
    device: str,
    timing_ms: Mapping[str, float],
    draw_map: Callable[[int], np.ndarray],
) -> GradeResult:
    """Put an answer into words and numbers. decided: None where there is no lesion, hence no grade.

    measures: of each region. draw_map(predicted): the voxel map in logits per ml, on the reference grid.
    """
    small = placement.occupancy.sum(axis=(1, 2, 3)) < _LOW_RESOLUTION_CELLS
    findings = [*findings, *_region_findings(regions, small, bundle)]
    shared = {
        "case": case_id,
        "inputs": tuple(m.value for m in used),
        "model": ReportModel(*(str(bundle.info[key]) for key in ("name", "version", "sha256", "clinical_use"))),
        "device": device,
        "timing_ms": timing_ms,
    }
    if regions.lesions and set(range(1, len(regions.regions))) <= set(muted):
        decided = None  # what is left says nothing of a lesion, as where none is marked
        text = _("Every lesion was taken out, so no grade is given.")
        findings.append(Finding("lesions-left-out", "warning", text))
    if decided is None:
        rows = tuple(_row(*known, {}) for known in zip(regions.regions, measures, small))
        report = GradeReport(
            grade=None, probabilities=None, uncertain=True, baseline=None, regions=rows, edges=(),
            findings=tuple(findings), **shared,
        )  # fmt: skip
        return GradeResult(report, regions, None, None)
    votes = decided.votes.muted(muted)
    probabilities = softmax(votes.logits)
    predicted = int(probabilities.argmax())
    per_class = lambda row: dict(zip(bundle.classes, (float(v) for v in row)))  # noqa: E731
    nodes = [*regions.regions, None]
    columns = {v.key: plain_values(v.compute(votes, predicted, nodes), bundle.classes) for v in VALUES}
    known = [*zip(regions.regions, measures, small), (None, None, False)]
    rows = [_row(*known[n], {key: column[n] for key, column in columns.items()}) for n in range(len(nodes))]
    report = GradeReport(
        grade=bundle.classes[predicted],
        probabilities=per_class(probabilities),
        uncertain=UncertaintyRule(**bundle.info.get("uncertain", {}))(probabilities),
        baseline=per_class(votes.baseline),
        regions=tuple(rows),
        edges=cosine_edges(decided.embeddings),
        findings=(*findings, *_muted_findings(rows, muted)),
        without_regions=per_class(shares_of(votes).without_regions),
        redundant=redundant_nodes(votes, predicted),
        **shared,
    )
    return GradeResult(report, regions, votes, lambda: draw_map(predicted))


def _row(region: Region | None, measures: RegionMeasures | None, low: bool, values: Mapping[str, Any]) -> ReportRegion:
    if region is None:
        return ReportRegion.with_values(TOPOLOGY_NAME, "topology", None, None, False, values)
    place = region.centroid_ras if region.voxels else None
    return ReportRegion.with_values(region.name, region.kind, region.volume_ml, place, bool(low), values, measures)


def _region_findings(regions: RegionSet, small: np.ndarray, bundle: Bundle) -> list[Finding]:
    organ, lesion = bundle.info["organ"].lower(), bundle.info["lesion"].lower()
    found = []
    if not bundle.verified:
        text = _(
            "The description of the model carries no checksum, so its claims are not verified; save the model again."
        )
        found.append(Finding("model-not-verified", "warning", text))
    if not regions.lesions:
        text = _("No {lesion} is marked in the {organ}, so no grade is given.")
        found.append(Finding("no-lesion", "warning", text, lesion=lesion, organ=organ))
    if regions.regions[0].voxels == 0:
        text = _(
            "The whole {organ} is marked as {lesion}; without other tissue to compare with the answer means little."
        )
        found.append(Finding("no-parenchyma", "warning", text, organ=organ, lesion=lesion))
    for region, low in zip(regions.lesions, small[1:]):
        if low:
            text = _("{name} is smaller than a cell of the network's maps, so little of it is seen.")
            found.append(Finding("low-resolution", "info", text, region.centroid_ras, name=region.name))
    return found


def _muted_findings(rows: Sequence[ReportRegion], muted: Sequence[int]) -> list[Finding]:
    return [Finding("region-muted", "info", _("{name} was taken out of the sum."), name=rows[n].name) for n in muted]


def muted_nodes(mute: Collection[str | int], regions: RegionSet) -> tuple[int, ...]:
    """Return the indices of regions given by name or index; the topology node comes after the regions.

    Raises: UsageError for a region that is not there.
    """
    names = [region.name for region in regions.regions] + [TOPOLOGY_NAME]
    indices = []
    for wish in mute:
        index = names.index(wish) if wish in names else wish
        if not isinstance(index, (int, np.integer)) or not 0 <= index < len(names):
            text = _("There is no region '{wish}'; the regions are {names}.")
            raise UsageError(text, wish=wish, names=", ".join(names))
        indices.append(int(index))
    return tuple(sorted(set(indices)))
