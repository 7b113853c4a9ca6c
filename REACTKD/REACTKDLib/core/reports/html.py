"""A graded case as a single HTML page with pictures, for any browser, to print or to send.

The template is `page.html.j2`. The page contains everything that it shows, and its content security policy prevents it
from loading anything.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from REACTKDLib.core.cases.names import NEUTRAL_ID
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.reports.measure_rows import measure_rows, measure_titles
from REACTKDLib.core.reports.region_value import RegionValue
from REACTKDLib.core.reports.region_values import ordered, shown_values
from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.core.reports.set_words import set_words
from REACTKDLib.core.reports.share_words import direction_words, explained
from REACTKDLib.core.text import isolated, measured, sentence, signed
from REACTKDLib.core.writing.atomic import write_text

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

RGB = tuple[float, float, float]
_STYLE = Path(__file__).with_name("html.css")
_PAGE = Path(__file__).with_name("page.html.j2")
_SEVERITIES = {"error": "Fault", "warning": "Check", "info": "Note"}


@dataclass(frozen=True)
class Picture:
    """A picture of the case. png: the file's bytes. caption: a short description."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class PageExtras:
    """What the page shows beside the report.

    pictures: in their order. colors: region name -> its color in the views. reader_grade: the reader's grade, or None.
    reviewed: the reader has finished the case. reader: the reader's name, comment: the reader's comment, both possibly
    empty. made_at: the time to print, as text.
    """

    pictures: Sequence[Picture] = ()
    colors: Mapping[str, RGB] | None = None
    reader_grade: str | None = None
    reviewed: bool = False
    made_at: str = ""
    reader: str = ""
    comment: str = ""


def write_page(path: Path | str, report: GradeReport, extras: PageExtras = PageExtras()) -> None:
    """Write `report_page` atomically. Raises: OutputNotWritable."""
    write_text(path, report_page(report, extras))


def report_page(report: GradeReport, extras: PageExtras = PageExtras()) -> str:
    """Return the page: `page.html.j2`, filled. Every text from outside is escaped."""
    claimed = report.grade is not None
    measures = measure_titles(report.regions, report.task)
    known = shown_values(report.regions) if claimed else ()
    values = [value for value in ordered("share", "contribution") if value in known]
    names = {"grade": report.grade, "baseline": signed(report.baseline[report.grade], 2) if report.baseline else ""}
    rows = sorted(report.regions, key=lambda row: -row.importance) if claimed else report.regions
    return _template().render(
        report=report,
        heading="Case" if report.case == NEUTRAL_ID else f"Case {report.case}",
        spread=report.ensemble.spread if report.ensemble else {},
        extras=extras,
        claimed=claimed,
        style=_safe(_STYLE.read_text(encoding="utf-8")),
        grade_words=report.task.class_title(report.grade or ""),
        images=[_image_name(name) for name in report.inputs],
        pictures=[(b64encode(picture.png).decode(), picture.caption) for picture in extras.pictures],
        rows=rows,
        colors={name: [round(255 * c) for c in color] for name, color in (extras.colors or {}).items()},
        columns=[value.on_page.heading.format(**names) for value in values],
        cells=lambda row: [_cell(value, row, report.grade) for value in values],
        notes=[_safe(value.on_page.note).format(**names) for value in values if value.on_page.note],
        sentences=explained(report),
        grade_set=set_words(report),
        directions={row.name: direction_words(report, row) for row in report.regions},
        organ=report.task.organ.name,
        lesion=report.task.lesion.name,
        measures=measures.values(),
        kinds={row.kind for row in measures.values()},
        measured=[
            (row.name, {m.key: m.shown for m in measure_rows(row, report.task)})
            for row in report.regions
            if measure_rows(row)
        ],
        inferred=any(row.inferred for row in measures.values()),
        findings=sorted(report.findings, key=lambda finding: list(_SEVERITIES).index(finding.severity)),
        severities=_SEVERITIES,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"isolated": isolated, "sentence": sentence, "volume": _volume}
    return environment.from_string(_PAGE.read_text(encoding="utf-8"))


def _safe(text: str) -> Markup:
    """Mark a text of our own as HTML."""
    from markupsafe import Markup

    return Markup(text)


def _cell(value: RegionValue, row: ReportRegion, grade: str) -> str:
    number, column = value.of(row, grade), value.on_page
    if number is None:
        return ""
    number *= 100 if column.percent else 1
    return signed(number, column.decimals) if value.signed else f"{number:.{column.decimals}f}"


def _volume(ml: float | None) -> str:
    if ml is None:
        return ""
    return f"{ml:.0f} ml" if ml >= 100 else f"{ml:.1f} ml" if ml >= 1 else f"{measured(ml)} ml"


def _image_name(name: str) -> str:
    try:
        return ROLES[Modality(name)].removeprefix("the ")
    except ValueError:  # another bundle may use other images
        return name
