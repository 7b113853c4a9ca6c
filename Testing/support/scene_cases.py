"""A small case with known positions and a hand-made grading result, for tests of the scene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.masks.checks import rechecked
from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.masks.uptake import RegionUptake
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import GradeReport, ReportModel, ReportRegion
from REACTKDLib.core.task import HCC_GRADE
from support.grids import centers_ras

GRADES = ("well", "moderate", "poor")
LESIONS = {(-40.0, 20.0, 30.0): 14.0, (-10.0, 35.0, 45.0): 9.0, (-60.0, 0.0, 60.0): 6.0}  # center in mm RAS: radius
LIVER_CENTER, LIVER_RADII = np.array([-40.0, 15.0, 45.0]), np.array([65.0, 50.0, 40.0])


@dataclass
class HandMadeResult:
    """Imitates the return value of a grader."""

    report: GradeReport
    regions: RegionSet
    voxel_map: Volume


def oblique(spacing: tuple[float, float, float], shape: tuple[int, int, int], degrees: float = 12.0) -> np.ndarray:
    """Return an LPS-like scanner matrix, rotated about two axes, whose center voxel is in the middle of the liver."""
    a = np.deg2rad(degrees)
    about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_r = np.array([[1, 0, 0], [0, np.cos(a / 2), -np.sin(a / 2)], [0, np.sin(a / 2), np.cos(a / 2)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_s @ about_r @ np.diag([-spacing[0], -spacing[1], spacing[2]])
    matrix[:3, 3] = LIVER_CENTER - matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    return matrix


def make_case(
    shape: tuple[int, int, int] = (44, 72, 80),
    spacing: tuple[float, float, float] = (2.2, 2.3, 3.0),
    lesions: dict[tuple[float, float, float], float] = LESIONS,
) -> Case:
    """Return a CT of gray tissue with a brighter liver and darker lesions, and both PETs on their own coarser grids."""
    matrix = oblique(spacing, shape)
    ras = centers_ras(Grid(shape, matrix))
    liver = (((ras - LIVER_CENTER) / LIVER_RADII) ** 2).sum(axis=-1) < 1
    tumor = np.zeros(shape, dtype=bool)
    for center, radius in lesions.items():
        tumor |= ((ras - np.array(center)) ** 2).sum(axis=-1) < radius**2
    ct = np.full(shape, -80, dtype=np.int16)
    ct[liver] = 105
    ct[tumor & liver] = 78
    ct += np.random.default_rng(3).normal(0, 9, shape).astype(np.int16)
    volumes = {Modality.CT: Volume(ct, matrix, Unit.HU)}
    for seed, modality in enumerate((Modality.FDG, Modality.ACETATE)):
        pet_shape = (30, 40, 44)
        array = np.random.default_rng(seed).gamma(4.0, 0.5, pet_shape).astype(np.float32)
        volumes[modality] = Volume(array, oblique((4.1, 4.0, 4.3), pet_shape, degrees=-7.0), Unit.SUVBW)
    return Case("hand-made", volumes, liver, tumor & liver)


def make_result(
    case: Case, effects: tuple[float, ...] = (0.05, 0.31, -0.12), grade: str | None = "poor"
) -> HandMadeResult:
    """Return a result where lesion i of the region set has share and deletion effect `effects[i]`; None: no grade."""
    regions = RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras)
    all_effects = (0.02, *effects)
    rows = []
    for region, effect in zip(regions.regions, all_effects):
        contribution = {"well": -effect, "moderate": 0.1, "poor": effect / 3}
        rows.append(
            ReportRegion(
                region.name,
                region.kind,
                region.volume_ml,
                region.centroid_ras,
                1 / 7 if grade else None,
                contribution if grade else None,
                effect if grade else None,
                region.voxels < 100,
                _shares(effect) if grade else {},
            )
        )
    rows.append(
        ReportRegion(
            "Topology",
            "topology",
            None,
            None,
            *((0.2, dict.fromkeys(GRADES, 0.0), 0.01) if grade else (None,) * 3),
            others=_shares(0.01) if grade else {},
        )
    )
    three = dict(zip(GRADES, (0.1, 0.25, 0.65))) if grade else None
    report = GradeReport(
        case=case.id,
        grade=grade,
        probabilities=three,
        uncertain=grade is None,
        inputs=tuple(m.value for m in case.modalities),
        baseline=dict.fromkeys(GRADES, 0.5) if grade else None,
        regions=tuple(rows),
        edges=((0, 1, 0.5),),
        findings=case.findings,
        model=ReportModel("hand-made", "1.0", "0" * 64, 'for tests: <not> "clinical" & so on'),
        device="cpu",
        timing_ms=dict.fromkeys(("prepare", "encode", "regions", "decide", "total"), 1.0),
        without_regions=_without(three, rows) if grade else None,
    )
    voxel_map = Volume(
        (case.tumor * np.linspace(0, 1, case.tumor.shape[2], dtype=np.float32)), case.reference.ijk_to_ras
    )
    if not grade:
        voxel_map = voxel_map.with_array(np.zeros_like(voxel_map.array))
    return HandMadeResult(report, regions, voxel_map)


def with_measures(report: GradeReport) -> GradeReport:
    """Return the report with measures of the parenchyma and the first lesion: FDG as inferred SUV, acetate in Bq/ml."""
    lesion = RegionUptake(7.1, 5.25, 6.5, 1.42, True), RegionUptake(None, None, None, 0.8)
    measures = {0: RegionMeasures(), 1: RegionMeasures(34.2, dict(zip(("fdg", "acetate"), lesion)))}
    regions = [replace(row, measures=measures.get(n)) for n, row in enumerate(report.regions)]
    return replace(report, regions=tuple(regions))


def _shares(share: float) -> dict[str, object]:
    """Poor gains what well and moderate lose, in equal parts."""
    return {"share": share, "share_by_grade": {"well": -share / 2, "moderate": -share / 2, "poor": share}}


def _without(probabilities: dict[str, float], rows: list[ReportRegion]) -> dict[str, float]:
    return {name: p - sum(row.value("share_by_grade")[name] for row in rows) for name, p in probabilities.items()}


class HandMadeGrader:
    """Returns the same result for every case, and counts how often a case was opened (and would have been encoded)."""

    task = HCC_GRADE

    def __init__(self, **result: object) -> None:
        self.result = result
        self.opened = 0

    def open(self, case: Case, **_hooks: object) -> HandMadeSession:
        """Store the case."""
        self.opened += 1
        return HandMadeSession(case, self.result)


class HandMadeSession:
    """An opened case."""

    def __init__(self, case: Case, result: dict[str, object]) -> None:
        self.case = case
        self.result = result

    def correct(self, liver: np.ndarray | None, tumor: np.ndarray | None, **more: Any) -> None:
        """Set other masks, cleaned."""
        self.case = rechecked(self.case, liver, tumor, **more)

    def grade(self) -> HandMadeResult:
        """Return the result for the masks."""
        return make_result(self.case, **self.result)
