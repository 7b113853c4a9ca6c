"""The result of a grading: the report, its regions, and the voxel map, which is computed on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.findings import Finding, merged
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.checks import LOW_RESOLUTION_CELLS
from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.masks.placement import Placement
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.modality import Modality, subset_name
from REACTKDLib.core.reports.ensemble import EnsembleAnswer, MemberAnswer
from REACTKDLib.core.reports.region_values import VALUES, plain_values
from REACTKDLib.core.reports.report import GradeReport, ReportModel, ReportRegion
from REACTKDLib.core.student.explain import UncertaintyRule, Votes, cosine_edges, softmax
from REACTKDLib.core.student.grade_sets import GradeSets
from REACTKDLib.core.student.shares import redundant_nodes, shares_of
from REACTKDLib.core.text import tr as _

if TYPE_CHECKING:
    from REACTKDLib.core.grading.runner import Decided
    from REACTKDLib.core.student.bundle import Bundle
    from REACTKDLib.core.student.ensemble import Ensemble

TOPOLOGY_NAME = _("Number and shape of lesions")
# Percentile of the positive voxels that is shown as 1, so that one extreme voxel does not darken all others.
_SHOWN_PERCENT = 99.5


@dataclass(frozen=True, eq=False)
class GradeResult:
    """The result of one grading.

    report: for display and files. regions: label i + 1 of its map is report.regions[i]. votes: the outputs of the head
    in float64; None if no grade is given, and for an ensemble.
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
        inside = values[self.regions.box]  # the map is 0 outside this box, and a large CT has ten times as many voxels
        positive = inside[inside > 0]
        if positive.size == 0:
            return values, 0.0
        top = float(np.percentile(positive, _SHOWN_PERCENT))
        np.divide(inside, top, out=inside)
        np.minimum(inside, 1.0, out=inside)
        return values, top

    @property
    def voxel_map(self) -> Volume:
        """Evidence for the predicted class on the reference grid, 0 to 1, 0 outside the regions. See `voxel_map.py`.

        The first access computes a backward pass through the pooling. All zeros if no grade is given.
        """
        return Volume(self._voxel_map[0], self.regions.ijk_to_ras, name="voxel map", checked=True)

    @property
    def voxel_map_scale(self) -> float:
        """The value that 1 in the voxel map represents, in logits per ml of tissue; stronger evidence is shown as 1
        too.
        """
        return self._voxel_map[1]


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """The output of one model for a case.

    bundle: the model. decided: None if there is no lesion and therefore no grade.

    draw_map(predicted): returns the voxel map in logits per ml, on the reference grid.
    """

    bundle: Bundle
    decided: Decided | None
    findings: tuple[Finding, ...]
    device: str
    timing_ms: Mapping[str, float]
    draw_map: Callable[[int], np.ndarray]


@dataclass(frozen=True, eq=False)
class GradingInput:
    """The input of a grading: the id of the case, the images used, the regions with their measurements and their
    placement on the network's grid, and the nodes that are muted.
    """

    case_id: str
    used: tuple[Modality, ...]
    regions: RegionSet
    measures: Sequence[RegionMeasures]
    placement: Placement
    muted: tuple[int, ...]


def compose_report(
    model: Bundle | Ensemble, given: GradingInput, outputs: Sequence[ModelOutput], findings: Sequence[Finding]
) -> GradeResult:
    """Create the report of a grading.

    outputs: of one model, or of each member of an ensemble. For an ensemble, the probabilities and every value of a
    region are means over the members. Shares and deletion effects are differences of probabilities, so their means are
    those of the mean probabilities. Contributions to logits are not reported, since a mean of probabilities is not the
    softmax of a sum of contributions. findings: of the case.
    """
    bundle, regions, muted = model, given.regions, given.muted
    measures, placement = given.measures, given.placement
    small = placement.occupancy.sum(axis=(1, 2, 3)) < LOW_RESOLUTION_CELLS
    for output in outputs:
        findings = merged(findings, output.findings)
    findings = [*findings, *_region_findings(regions, small, bundle)]
    shared = {
        "case": given.case_id,
        "inputs": tuple(m.value for m in given.used),
        "model": ReportModel(*(str(bundle.info[key]) for key in ("name", "version", "sha256", "clinical_use"))),
        "device": "cpu" if any(output.device == "cpu" for output in outputs) else outputs[0].device,
        "timing_ms": {key: sum(output.timing_ms[key] for output in outputs) for key in outputs[0].timing_ms},
        "task": bundle.task,
    }
    claimed = all(output.decided is not None for output in outputs)
    if regions.lesions and set(range(1, len(regions.regions))) <= set(muted):
        claimed = False  # no lesion is left, as if none had been segmented
        text = _("Every lesion was left out, so no grade is given.")
        findings.append(Finding("lesions-left-out", "warning", text))
    if not claimed:
        rows = tuple(_row(*known, {}) for known in zip(regions.regions, measures, small))
        report = GradeReport(
            grade=None, probabilities=None, uncertain=True, baseline=None, regions=rows, edges=(),
            findings=tuple(findings), **shared,
        )  # fmt: skip
        return GradeResult(report, regions, None, None)
    votes = [output.decided.votes.muted(muted) for output in outputs]
    each = [softmax(member.logits) for member in votes]
    probabilities = np.mean(each, axis=0)
    predicted, alone = int(probabilities.argmax()), len(votes) == 1
    per_class = lambda row: dict(zip(bundle.classes, (float(v) for v in row)))  # noqa: E731
    nodes = [*regions.regions, None]
    computed = [{v.key: v.compute(member, predicted, nodes) for v in VALUES} for member in votes]
    means = {v.key: np.mean([of[v.key] for of in computed], axis=0) for v in VALUES if alone or not v.of_logits}
    columns = {key: plain_values(mean, bundle.classes) for key, mean in means.items()}
    known = [*zip(regions.regions, measures, small), (None, None, False)]
    rows = [_row(*known[n], {key: column[n] for key, column in columns.items()}) for n in range(len(nodes))]
    report = GradeReport(
        grade=bundle.classes[predicted],
        probabilities=per_class(probabilities),
        uncertain=UncertaintyRule(**bundle.info.get("uncertain", bundle.task.uncertain))(probabilities),
        baseline=per_class(votes[0].baseline) if alone else None,
        **(_sets(bundle, probabilities, shared["inputs"], muted) if alone else {}),
        regions=tuple(rows),
        edges=_mean_edges([output.decided.embeddings for output in outputs]),
        findings=(*findings, *_muted_findings(rows, muted)),
        without_regions=per_class(np.mean([shares_of(member).without_regions for member in votes], axis=0)),
        redundant=redundant_nodes(votes, predicted),
        ensemble=None if alone else EnsembleAnswer(tuple(map(_member_answer, outputs, each))),
        **shared,
    )
    return GradeResult(report, regions, votes[0] if alone else None, lambda: _mean_map(outputs, predicted))


def _member_answer(output: ModelOutput, probabilities: np.ndarray) -> MemberAnswer:
    classes, info = output.bundle.classes, output.bundle.info
    named = (str(info[key]) for key in ("name", "version", "sha256"))
    return MemberAnswer(*named, classes[int(probabilities.argmax())], dict(zip(classes, map(float, probabilities))))


def _mean_edges(embeddings: Sequence[np.ndarray]) -> tuple[tuple[int, int, float], ...]:
    edges = [cosine_edges(vectors) for vectors in embeddings]
    return tuple((*same[0][:2], sum(edge[2] for edge in same) / len(same)) for same in zip(*edges))


def _mean_map(outputs: Sequence[ModelOutput], predicted: int) -> np.ndarray:
    """Return the mean of the members' maps, in one array."""
    total = outputs[0].draw_map(predicted)
    for output in outputs[1:]:
        total += output.draw_map(predicted)
    return total if len(outputs) == 1 else total / np.float32(len(outputs))


def _sets(bundle: Bundle, probabilities: np.ndarray, inputs: Sequence[str], muted: Sequence[int]) -> dict[str, Any]:
    """Return the set of grades if the bundle defines them; none with muted regions, for which coverage was not
    measured.
    """
    if "grade_sets" not in bundle.info or muted:
        return {}
    sets = GradeSets.from_metadata(bundle.info["grade_sets"])
    found = sets(probabilities.tolist(), subset_name(inputs))
    return (
        {} if found is None else {"grades": tuple(bundle.classes[n] for n in found), "grades_coverage": sets.coverage}
    )


def _row(region: Region | None, measures: RegionMeasures | None, low: bool, values: Mapping[str, Any]) -> ReportRegion:
    if region is None:
        return ReportRegion.with_values(TOPOLOGY_NAME, "topology", None, None, False, values)
    place = region.centroid_ras if region.voxels else None
    return ReportRegion.with_values(region.name, region.kind, region.volume_ml, place, bool(low), values, measures)


def _region_findings(regions: RegionSet, small: np.ndarray, bundle: Bundle | Ensemble) -> list[Finding]:
    organ, lesion = bundle.task.organ.name, bundle.task.lesion.name
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
            "The whole {organ} is marked as {lesion}; without other tissue to compare with, the result means little."
        )
        found.append(Finding("no-parenchyma", "warning", text, organ=organ, lesion=lesion))
    for region, low in zip(regions.lesions, small[1:]):
        if low:
            text = _("{name} is smaller than a cell of the network's maps, so its values are unreliable.")
            found.append(Finding("low-resolution", "info", text, region.centroid_ras, name=region.name))
    return found


def _muted_findings(rows: Sequence[ReportRegion], muted: Sequence[int]) -> list[Finding]:
    return [Finding("region-muted", "info", _("{name} was left out of the grade."), name=rows[n].name) for n in muted]


def muted_nodes(mute: Collection[str | int], regions: RegionSet) -> tuple[int, ...]:
    """Return the indices of regions given by name or index. The topology node comes after the regions.

    Raises: UsageError for an unknown region.
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
