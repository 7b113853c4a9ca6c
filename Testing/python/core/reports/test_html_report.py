"""The HTML page of one case: complete, without network access, escaped, and consistent with the report."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from REACTKDLib.core.cases.names import NEUTRAL_ID
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.reports.html import PageExtras, Picture, report_page, write_page
from REACTKDLib.core.reports.report import ReportModel
from support.scene_cases import make_case, make_result, with_measures

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63f80f000101010018dd8db0"
    "0000000049454e44ae426082"
)
VOID = {"meta", "img", "link", "br"}


class Reader(HTMLParser):
    """Collects tags with their attributes and the text, and checks that tags are closed in the right order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data + " "


@pytest.fixture(scope="module")
def report():
    return make_result(make_case()).report


def test_a_case_without_a_name_has_the_heading_case(report):
    page = report_page(replace(report, case=NEUTRAL_ID))
    assert "<title>Case - REACTKD</title>" in page and "<h1>Case</h1>" in page
    assert "<title>Case hand-made - REACTKD</title>" in report_page(report)


def test_the_page_shows_the_result(report):
    page = Reader(report_page(report))
    words = " ".join(page.text.split())
    assert "Case hand-made" in words and "Poorly differentiated" in words and "uncertain" not in words
    assert "From CT, FDG PET, acetate PET." in words
    for name, share in (("well", "10 %"), ("moderate", "25 %"), ("poor", "65 %")):
        assert f"{name} {share}" in words
    assert 'For tests: <not> "clinical" & so on' in words
    assert "\u221212" in words and "+31" in words and "0" * 64 in words
    assert "65 % for poor: 38 without any region, Lesion 2 +31, Lesion 3 \u221212, Lesion 1 +5" in words
    # the region with the largest effect comes first
    words = words[words.index("Share ") :]
    assert words.index("Lesion 2") < words.index("Lesion 3") < words.index("Lesion 1") < words.index("Parenchyma")


def test_a_column_names_the_grade_that_each_region_speaks_against(report):
    assert "Speaks" not in Reader(report_page(report)).text
    by_grade = {"well": 0.02, "moderate": 0.1, "poor": -0.12}
    rows = tuple(replace(row, others={"share": 0.1, "share_by_grade": by_grade}) for row in report.regions)
    words = " ".join(Reader(report_page(replace(report, grade="moderate", regions=rows))).text.split())
    assert "Region Speaks Volume Share" in words and words.count("against poor") == len(rows)
    assert "Against poor: Parenchyma, Lesion 1, Lesion 2, Lesion 3, Topology." in words


def test_the_page_loads_nothing_from_elsewhere(report):
    page = report_page(report, PageExtras(pictures=[Picture(PNG, "axial")]))
    assert "default-src 'none'" in page
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", page) and "url(" not in page and "@import" not in page
    tags = Reader(page).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "iframe", "object", "a"}
    (source,) = (attributes["src"] for tag, attributes in tags if tag == "img")
    assert source.startswith("data:image/png;base64,")


def test_texts_from_outside_are_escaped(report):
    evil = '<script>alert("1")</script>&'
    region = replace(report.regions[1], name=evil)
    told = replace(
        report,
        case=evil,
        grade=evil,
        probabilities={evil: 1.0},
        baseline={evil: 0.0},
        without_regions={evil: 0.5},
        regions=(replace(region, name=evil, contribution={evil: 0.1}, others={"share": 0.5}),),
        findings=(Finding("a", "warning", evil),),
        model=ReportModel(evil, evil, evil, evil),
        device=evil,
        inputs=(evil,),
    )
    extras = PageExtras([Picture(PNG, evil)], {evil: (1, 0, 0)}, evil, True, evil, reader=evil, comment=evil)
    page = Reader(report_page(told, extras))
    assert "script" not in {tag for tag, _ in page.tags}
    # case (twice), use, grade, image, reader (name, grade, comment), bar, caption, shares (twice), region, column,
    # finding, notes: all escaped as text
    assert page.text.count(evil) >= 16


def test_a_page_without_a_grade_shows_regions_and_no_shares():
    told = make_result(make_case(), grade=None).report
    page = Reader(report_page(told))
    assert "No grade is claimed." in page.text and "Share" not in page.text and "%" not in page.text
    assert "Lesion 1" in page.text


@pytest.mark.parametrize(
    ("extras", "words"),
    [
        (PageExtras(reader_grade="poor"), "poor, as the model."),
        (PageExtras(reader_grade="well", reviewed=True), "well, unlike the model; reviewed."),
        (PageExtras(reviewed=True), "no grade given; reviewed."),
        (PageExtras(comment="wash-out"), "Reader: no grade given. Comment: wash-out"),
        (
            PageExtras(reader_grade="poor", reader="Anna", comment="small"),
            "Reader Anna: poor, as the model. Comment: small",
        ),
        (PageExtras(reader_grade="poor", reader="\u05d0\u05d1 2"), "Reader \u2068\u05d0\u05d1 2\u2069: poor"),
        (PageExtras(reader_grade="poor", reader="a\u202eb"), "Reader a\\u202eb: poor"),
    ],
)
def test_the_page_shows_the_readers_grade_and_review(report, extras, words):
    assert words in " ".join(Reader(report_page(report, extras)).text.split())


def test_colors_measures_and_pictures(report):
    lesion = report.regions[1].name
    extras = PageExtras([Picture(PNG, "Axial")] * 3, {lesion: (1.0, 0.5, 0.0)}, made_at="now")
    assert "Measures" not in Reader(report_page(report, extras)).text
    page = Reader(report_page(with_measures(report), extras))
    for words in ("FDG tumor/liver", "1.42", "34 mm", "7.1 g/ml", "FDG SUVpeak", "now", "states no unit"):
        assert words in page.text
    assert "Acetate SUV" not in page.text and "Acetate tumor/liver" in page.text
    assert [a["style"] for t, a in page.tags if a.get("class") == "swatch"] == ["background:rgb(255,128,0)"]
    assert sum(tag == "figure" for tag, _ in page.tags) == 3


def test_the_page_lists_the_grades_that_cannot_be_ruled_out(report):
    page = Reader(report_page(replace(report, grades=("moderate", "poor"), grades_coverage=0.9)))
    words = "In 90 % of cases like those the model was tested on, the true grade is among them."
    assert f"Grades that cannot be ruled out: moderate, poor. {words}" in page.text
    assert "cases like those the model was tested on" not in Reader(report_page(report)).text


def test_uncertain_and_small_lesions_are_marked(report):
    regions = tuple(replace(row, low_resolution=row.kind == "tumor") for row in report.regions)
    page = Reader(report_page(replace(report, uncertain=True, regions=regions)))
    assert "uncertain" in page.text and page.text.count("too small to be seen well") == 3


def test_the_page_is_written_completely_or_not_at_all(report, tmp_path):
    write_page(tmp_path / "new" / "page.html", report)
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == report_page(report)
    assert len(list((tmp_path / "new").iterdir())) == 1
    with pytest.raises(OutputNotWritable):
        write_page(tmp_path / "new" / "page.html" / "below.html", report)
