"""The report: its published schema, round trip, sums, table, and files written completely or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from contextlib import suppress
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.masks.uptake import RegionUptake
from REACTKDLib.core.reports.measure_rows import measure_rows
from REACTKDLib.core.reports.report import GradeReport, ReportModel, ReportRegion, regions_csv, report_schema
from support.scene_cases import with_measures

CLASSES = ("well", "moderate", "poor")
MODEL = ReportModel("reactkd-test", "1.0", "0" * 64, "not for clinical use")


def per_class(rng: np.random.Generator) -> dict[str, float]:
    return {name: float(rng.normal()) for name in CLASSES}


def a_report(lesions: int = 2, seed: int = 0) -> GradeReport:
    rng = np.random.default_rng(seed)
    regions = [ReportRegion("Parenchyma", "parenchyma", 1312.4, (1.0, -2.0, 3.0), 0.2, per_class(rng), -0.0312)]
    for n in range(lesions):
        regions.append(ReportRegion(f"Lesion {n + 1}", "tumor", 0.0007, (4, 5, 6), 0.1, per_class(rng), 0.1, n > 0))
    regions.append(ReportRegion("Lesion pattern", "topology", None, None, 0.3, per_class(rng), 0.25))
    return GradeReport(
        case="case-7",
        grade="moderate",
        probabilities={"well": 0.25, "moderate": 0.5, "poor": 0.25},
        uncertain=False,
        inputs=("ct", "fdg"),
        baseline=per_class(rng),
        regions=tuple(regions),
        edges=((0, 1, 0.987), (0, 2, -0.2)),
        findings=(Finding("one", "info", "A sentence.", (1.0, 2.0, 3.0)), Finding("two", "warning", "Another.")),
        model=MODEL,
        device="cuda:0",
        timing_ms={"prepare": 3.0, "encode": 10.26, "regions": 1, "decide": 2, "total": 16.3},
    )


def without_grade(report: GradeReport) -> GradeReport:
    rows = (replace(r, weight=None, contribution=None, deletion_effect=None) for r in report.regions[:1])
    return replace(report, grade=None, probabilities=None, uncertain=True, baseline=None, regions=tuple(rows), edges=())


def problems(data: dict, schema: dict | None = None) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema or report_schema())
    return [error.message for error in validator.iter_errors(data)]


def test_published_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(report_schema())


@pytest.mark.parametrize(
    "report",
    [
        a_report(),
        a_report(0),
        a_report(12),
        without_grade(a_report()),
        with_measures(a_report()),
        replace(a_report(), grades=("moderate", "poor"), grades_coverage=0.9),
    ],  # fmt: skip
)
def test_reports_fit_the_schema_and_survive_json(report):
    data = json.loads(report.to_json())
    assert problems(data) == []
    assert GradeReport.from_dict(data).to_dict() == data


def test_measures_go_through_json_and_a_report_without_them_stays_readable():
    report = with_measures(a_report())
    data = json.loads(report.to_json())
    assert [row.measures for row in GradeReport.from_dict(data).regions] == [row.measures for row in report.regions]
    for row in data["regions"][1]["uptake"].values():
        row["of_a_newer_version"] = 1
    assert GradeReport.from_dict(data).regions[1].measures == report.regions[1].measures
    older = a_report().to_dict()
    assert "uptake" not in older["regions"][1] and GradeReport.from_dict(older).regions[1].measures is None


def test_rows_of_measures_have_names_values_and_units():
    rows = {row.key: row for row in measure_rows(with_measures(a_report()).regions[1])}
    assert [(row.name, row.shown) for row in rows.values()] == [
        ("Longest axial diameter", "34 mm"),
        ("FDG SUVmax", "7.1 g/ml"),
        ("FDG SUVmean", "5.2 g/ml"),
        ("FDG SUVpeak", "6.5 g/ml"),
        ("FDG tumor/liver", "1.42"),
        ("Acetate tumor/liver", "0.80"),
    ]
    assert rows["fdg_suv_max"].inferred and not rows["acetate_to_liver"].inferred
    assert measure_rows(with_measures(a_report()).regions[-1]) == ()


def test_report_has_exactly_the_designed_keys():
    data = a_report().to_dict()
    assert set(data) == {
        "schema", "case", "grade", "probabilities", "uncertain", "inputs", "baseline", "regions", "graph", "findings",
        "model", "device", "timing_ms",
    }  # fmt: skip
    assert set(data["regions"][0]) == {
        "name", "kind", "volume_ml", "centroid_ras_mm", "weight", "contribution", "deletion_effect", "low_resolution",
    }  # fmt: skip


def with_shares(report: GradeReport) -> GradeReport:
    """The report with its shares added."""
    by_grade = {"well": -0.1, "moderate": 0.2, "poor": -0.1}
    others = {"share": 0.2, "share_by_grade": by_grade, "share_error": None}
    rows = tuple(replace(row, others=others) for row in report.regions)
    return replace(report, regions=rows, without_regions={"well": 0.5, "moderate": 0.3, "poor": 0.2}, redundant=(1, 2))


def test_shares_are_keys_that_an_old_report_does_not_have():
    old, new = a_report().to_dict(), with_shares(a_report()).to_dict()
    assert set(new) - set(old) == {"without_regions", "redundant"}
    assert set(new["regions"][0]) - set(old["regions"][0]) == {"share", "share_by_grade", "share_error"}
    assert problems(new) == [] and GradeReport.from_dict(json.loads(json.dumps(new))).to_dict() == new
    read = GradeReport.from_dict(old)
    assert read.without_regions is None and read.redundant == () and read.to_dict() == old
    assert [row.share for row in read.regions] == [None] * 4 and read.regions[1].importance == 0.1
    new["regions"][0]["share_error"] = -0.1
    assert problems(new) != []


BREAKAGES = {
    "unknown key": lambda d: d.update(extra=1),
    "unknown key in a region": lambda d: d["regions"][0].update(color="red"),
    "missing key": lambda d: d.pop("device"),
    "unknown grade": lambda d: d.update(grade="bad"),
    "unknown class": lambda d: d["baseline"].update(other=1.0),
    "missing class": lambda d: d["regions"][1]["contribution"].pop("poor"),
    "probability above one": lambda d: d["probabilities"].update(well=1.2),
    "unknown input": lambda d: d["inputs"].append("mri"),
    "no input": lambda d: d["inputs"].clear(),
    "similarity above one": lambda d: d["graph"]["edges"][0].__setitem__(2, 1.5),
    "edge of two": lambda d: d["graph"]["edges"][0].pop(),
    "hash cut short": lambda d: d["model"].update(sha256="abc"),
    "device of unknown kind": lambda d: d.update(device="tpu"),
    "finding without a sentence": lambda d: d["findings"][0].update(message=""),
    "answer without regions above one": lambda d: d.update(without_regions={"well": 2, "moderate": 0, "poor": 0}),
    "place in two dimensions": lambda d: d["regions"][0]["centroid_ras_mm"].pop(),
}


@pytest.mark.parametrize("change", BREAKAGES.values(), ids=BREAKAGES.keys())
def test_the_schema_refuses_invalid_reports(change):
    data = a_report().to_dict()
    change(data)
    assert problems(data) != []


def test_schema_follows_the_classes_of_another_bundle():
    names = ("benign", "malignant")
    schema = report_schema(names, ("ct",))
    assert problems(a_report().to_dict(), schema) != []
    values = {"benign": 0.4, "malignant": 0.6}
    rows = tuple(replace(r, contribution=values) for r in a_report().regions)
    other = replace(a_report(), grade="malignant", probabilities=values, baseline=values, regions=rows, inputs=("ct",))
    assert problems(other.to_dict(), schema) == []


@pytest.mark.parametrize("lesions", [0, 2, 100])
def test_written_numbers_still_add_up(lesions):
    report = a_report(lesions)
    read = GradeReport.from_dict(json.loads(report.to_json()))
    for name in CLASSES:
        assert abs(read.logits[name] - report.logits[name]) < 1e-5


def test_a_value_of_a_newer_version_is_left_out_and_the_rest_is_read():
    data = a_report().to_dict()
    newer = json.loads(json.dumps(data))
    for row in newer["regions"]:
        row["novelty"] = 0.5
    assert GradeReport.from_dict(newer).to_dict() == data
    del newer["regions"][0]["weight"]
    with pytest.raises(ValueError, match="weight"):
        GradeReport.from_dict(newer)


def test_nan_is_never_written():
    broken = replace(a_report(), baseline={"well": math.nan, "moderate": 0.0, "poor": 0.0})
    with pytest.raises(ValueError):
        broken.to_json()


def test_other_json_is_refused():
    with pytest.raises(ValueError):
        GradeReport.from_dict({"schema": "something-else/1"})


def test_csv_has_a_row_for_each_region():
    report = a_report()
    rows = list(csv.DictReader(io.StringIO(regions_csv(report))))
    assert [row["name"] for row in rows] == [r.name for r in report.regions]
    assert [row["label"] for row in rows] == ["1", "2", "3", ""]
    assert float(rows[1]["contribution_poor"]) == pytest.approx(report.regions[1].contribution["poor"], abs=1e-7)
    assert rows[-1]["volume_ml"] == "" and rows[2]["low_resolution"] == "1"


def test_csv_ends_with_the_measures():
    rows = list(csv.DictReader(io.StringIO(regions_csv(with_measures(a_report())))))
    named = ["longest_axial_diameter_mm", "fdg_suv_max", "fdg_suv_mean", "fdg_suv_peak", "fdg_to_liver"]
    assert list(rows[1])[-6:] == [*named, "acetate_to_liver"]
    assert [rows[1][name] for name in named] == ["34.2", "7.1", "5.25", "6.5", "1.42"]
    assert {rows[n][name] for n in (0, 2, 3) for name in named} == {""}
    assert list(csv.DictReader(io.StringIO(regions_csv(a_report()))))[0].keys().isdisjoint(named)


def test_csv_has_no_digits_that_mean_nothing():
    """Diameters had 15 digits; a voxel is a millimeter. The JSON, which is read back, keeps more."""
    uptake = {"fdg": RegionUptake(8.221890449523926, 4.152875297458849, 6.336573833580504, 3.70752496237512, False)}
    report = a_report()
    lesion = replace(
        report.regions[1],
        volume_ml=334.3557449,
        centroid_ras_mm=(58.4612345, -22.5678, 79.0),
        measures=RegionMeasures(113.90379920705476, uptake),
    )
    report = replace(report, regions=(report.regions[0], lesion, *report.regions[2:]))
    row = list(csv.DictReader(io.StringIO(regions_csv(report))))[1]
    assert row["longest_axial_diameter_mm"] == "113.9" and row["volume_ml"] == "334.356"
    assert [row[f"centroid_{axis}_mm"] for axis in "ras"] == ["58.5", "-22.6", "79.0"]
    assert [row[f"fdg_{name}"] for name in ("suv_max", "suv_mean", "suv_peak")] == ["8.22", "4.15", "6.34"]
    assert row["fdg_to_liver"] == "3.708"
    entry = report.to_dict()["regions"][1]
    assert entry["volume_ml"] == 334.355745 and entry["centroid_ras_mm"] == [58.46, -22.57, 79.0]
    assert entry["uptake"]["fdg"]["suv_max"] == 8.2219


def test_csv_without_a_grade_has_the_regions_still():
    rows = list(csv.DictReader(io.StringIO(regions_csv(without_grade(a_report())))))
    assert len(rows) == 1 and rows[0]["weight"] == "" and rows[0]["deletion_effect"] == ""


def test_names_with_commas_and_accents_survive(tmp_path):
    report = a_report()
    report = replace(report, regions=(replace(report.regions[0], name='Foie, "sain" é'), *report.regions[1:]))
    report.write_csv(tmp_path / "r.csv")
    report.write_json(tmp_path / "r.json")
    with open(tmp_path / "r.csv", encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["name"] == 'Foie, "sain" é'
    assert GradeReport.read_json(tmp_path / "r.json").regions[0].name == 'Foie, "sain" é'


@pytest.mark.parametrize("whole", ["[]", "3", '"text"', "null", "{}", "{", "1" * 5000, '{"schema": "other"}'])
def test_a_file_that_is_no_report_is_a_value_error(tmp_path, whole):
    (tmp_path / "r.json").write_text(whole)
    with pytest.raises(ValueError):
        GradeReport.read_json(tmp_path / "r.json")


@pytest.mark.parametrize("damaged", [None, 3, "text", [], [3], {"a": 1}])
@pytest.mark.parametrize("key", ["regions", "graph", "findings", "model", "inputs", "timing_ms", "task", "ensemble"])
def test_a_damaged_report_is_a_value_error_or_is_read(tmp_path, key, damaged):
    """No other kind of error: callers would otherwise have to know how a report is stored."""
    data = a_report().to_dict() | {key: damaged}
    (tmp_path / "r.json").write_text(json.dumps(data))
    with suppress(ValueError):
        assert isinstance(GradeReport.read_json(tmp_path / "r.json"), GradeReport)
    for name in ("regions", "graph", "model"):
        (tmp_path / "r.json").write_text(json.dumps({k: v for k, v in a_report().to_dict().items() if k != name}))
        with pytest.raises(ValueError, match=f"not a valid reactkd-grade-report/1 report .*{name}"):
            GradeReport.read_json(tmp_path / "r.json")


def test_a_failed_write_leaves_the_old_report(tmp_path):
    target = tmp_path / "report.json"
    a_report().write_json(target)
    before = target.read_bytes()
    with pytest.raises(ValueError):
        replace(a_report(), timing_ms={"total": math.inf}).write_json(target)
    assert target.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_an_output_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputNotWritable) as caught:
        a_report().write_json(tmp_path / "file" / "report.json")
    assert caught.value.code == "output-not-writable"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
