"""The pages about file formats agree with the schemas, the names that readers accept, and a real report."""

from __future__ import annotations

import json
import re

import pytest

from REACTKDLib.commands import result_table
from REACTKDLib.core.cases import datalist, worklist
from REACTKDLib.core.cases.case_list import CaseList
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.reports.region_rows import region_rows
from REACTKDLib.core.student import bundle, bundle_metadata, ensemble
from support.small_cases import small_case
from support.small_models import small_bundle
from tools import format_pages

TEXTS = {path.name: path.read_text(encoding="utf-8") for path in format_pages.PAGES.glob("*.md")}


def names_in(page: str, heading: str) -> list[str]:
    """The names in backticks in the first column of the table under a heading."""
    part = TEXTS[page].partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split(" | ")[0] for line in part.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def places_in(value: object, place: str = "") -> set[str]:
    """The keys of a JSON value, as `format_pages.keys` names them."""
    if isinstance(value, list):
        return set().union(*(places_in(part, f"{place}[]") for part in value))
    if not isinstance(value, dict):
        return set()
    below = {f"{place}.{key}".lstrip("."): part for key, part in value.items()}
    return set(below).union(*(places_in(part, name) for name, part in below.items()))


@pytest.fixture(scope="module")
def report():
    return Grader(small_bundle(), device="cpu").open(small_case()).grade().report


@pytest.mark.parametrize("page", format_pages.SCHEMAS)
def test_the_tables_are_those_of_the_schemas(page):
    assert format_pages.brought_up_to_date(page, TEXTS[page]) == TEXTS[page], "run `make lists`"
    assert "| `schema` |" in TEXTS[page]


def test_a_key_that_is_not_in_the_table_is_added():
    text = re.sub(r"\| `schema` .*\n", "", TEXTS["task.md"])
    assert text != TEXTS["task.md"] and format_pages.brought_up_to_date("task.md", text) == TEXTS["task.md"]


def test_every_key_of_a_report_is_on_the_page(report):
    schema = json.loads(format_pages.SCHEMAS["report.md"].read_text(encoding="utf-8"))
    stated = {re.sub(r"\.\*", "", key.place) for key in format_pages.keys(schema)}
    parts = r"\.(well|moderate|poor|fdg|acetate)\b"  # maps by class or image are documented for one key or as a star
    found = {re.sub(parts, "", place) for place in places_in(report.to_dict())}
    assert len(found) > 40 and found - stated == set()


def test_every_column_of_a_table_of_regions_is_on_the_page(report):
    header = region_rows(report.regions)[0]
    general = dict.fromkeys(re.sub("_(well|moderate|poor)$", "_CLASS", name) for name in header)
    general = dict.fromkeys(re.sub("^(fdg|acetate)_", "PET_", name) for name in general)
    assert names_in("report.md", "regions.csv") == list(general)


def test_every_column_of_a_batch_is_on_the_page(tmp_path):
    with result_table.ResultTable(tmp_path, ("CLASS",), ("a",)).kept() as table:
        table.add(0, {"case": "a"})
    header = (tmp_path / result_table.RESULTS).read_text(encoding="utf-8").splitlines()[0]
    assert names_in("report.md", "results.csv") == header.strip("\ufeff").split(",")


def test_every_column_and_key_of_lists_is_on_the_page():
    assert names_in("lists.md", "Worklist") == [*worklist.COLUMNS, *worklist.LABELS]
    assert set(names_in("lists.md", "Datalist")) == set(datalist.KEYS)


def test_the_lists_of_the_page_are_read(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(re.search(r"```json\n(.+?)```", TEXTS["lists.md"], re.DOTALL)[1])
    first, second = worklist.read_worklist(path)
    assert (first.case, second.case) == ("a01", "b01") and second.mask_files is not None
    path = tmp_path / "cases.csv"
    columns = names_in("lists.md", "Worklist")
    path.write_text(f"{','.join(columns)}\n" + ",".join({"case": "a", "ct": "a.nii.gz"}.get(c, "") for c in columns))
    assert [job.case for job in worklist.read_worklist(path)] == ["a"]


def test_what_a_model_folder_must_hold_is_on_the_page():
    rows = re.findall(r"^\| (`.+?`) \| (yes)? ?\|", TEXTS["bundle.md"], re.MULTILINE)
    stated = {name: needed == "yes" for cell, needed in rows for name in re.findall(r"`(.+?)`", cell)}
    assert {name for name, needed in stated.items() if needed} == set(bundle_metadata.REQUIRED)
    shipped = bundle.shipped_bundle_folder()
    ours = json.loads((shipped / bundle.METADATA).read_text(encoding="utf-8"))["reactkd"]
    assert ours.keys() <= stated.keys()
    files = {path.relative_to(shipped).as_posix() for path in shipped.rglob("*") if path.is_file()}
    assert files <= set(re.findall(r"`([\w/.]+)`", TEXTS["bundle.md"]))
    assert f"`{ensemble.ENSEMBLE.as_posix()}`" in TEXTS["bundle.md"] and f"`{ensemble.SCHEMA}`" in TEXTS["bundle.md"]


def test_the_review_file_is_named_as_it_is(tmp_path):
    for path in (tmp_path / "cases.csv", tmp_path):
        name = CaseList(path, ()).review_file.name
        assert f"`{name}`" in TEXTS["review.md"], name
