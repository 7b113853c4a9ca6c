"""One graded case as one HTML page with pictures: opened in any browser, printed on one sheet, sent as one file.

The page holds everything it shows and may load nothing (its content security policy says so).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.core.text import sentence
from REACTKDLib.core.writing.atomic import write_text

RGB = tuple[float, float, float]
_STYLE = Path(__file__).with_name("html.css")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_IN_WORDS = {
    "well": "Well differentiated",
    "moderate": "Moderately differentiated",
    "poor": "Poorly differentiated",
}
_SEVERITIES = {"error": "Fault", "warning": "Check", "info": "Note"}


@dataclass(frozen=True)
class Picture:
    """A picture of the case. png: the file's bytes. caption: what is seen, in a few words."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class PageExtras:
    """What the page shows beside the report.

    pictures: in their order. colors: region name -> its color in the views. ratios: region name -> PET name -> SUV
    tumor-to-liver ratio. reader_grade: the reader's, None for none. reviewed: the reader has finished the case.
    made_at: the time to print, as text.
    """

    pictures: Sequence[Picture] = ()
    colors: Mapping[str, RGB] | None = None
    ratios: Mapping[str, Mapping[str, float]] | None = None
    reader_grade: str | None = None
    reviewed: bool = False
    made_at: str = ""


def write_page(path: Path | str, report: GradeReport, extras: PageExtras = PageExtras()) -> None:
    """Write `report_page`, whole or not at all. Raises: OutputNotWritable."""
    write_text(path, report_page(report, extras))


def report_page(report: GradeReport, extras: PageExtras = PageExtras()) -> str:
    """Return the page. Every text from outside is escaped."""
    title = f"Case {report.case}"
    parts = [
        _head(report, extras),
        _answer(report, extras),
        _pictures(extras.pictures),
        _regions(report, extras),
        _findings(report),
        _foot(report, extras),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} - REACTKD</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _head(report: GradeReport, extras: PageExtras) -> str:
    when = f'<span class="when">{escape(extras.made_at)}</span>' if extras.made_at else ""
    return (
        f"<header><h1>Case {escape(report.case)}</h1>{when}</header>\n"
        f'<p class="use">{escape(sentence(report.model.clinical_use))}</p>'
    )


def _answer(report: GradeReport, extras: PageExtras) -> str:
    images = ", ".join(escape(_image_name(name)) for name in report.inputs)
    if report.grade is None:
        answer = '<p class="grade">No grade is claimed.</p>'
        bars = ""
    else:
        unsure = ' <span class="unsure">uncertain</span>' if report.uncertain else ""
        answer = f'<p class="grade">{escape(_IN_WORDS.get(report.grade, sentence(report.grade)))}{unsure}</p>'
        bars = "".join(_bar(name, value, name == report.grade) for name, value in report.probabilities.items())
        bars = f'<table class="bars" aria-label="Probabilities">{bars}</table>'
    reader = _reader(report, extras)
    return (
        f'<section class="answer"><div><h2>Model</h2>{answer}<p class="from">From {images}.</p>{reader}</div>\n'
        f"<div>{bars}</div></section>"
    )


def _reader(report: GradeReport, extras: PageExtras) -> str:
    if extras.reader_grade is None and not extras.reviewed:
        return ""
    grade = "no grade given" if extras.reader_grade is None else escape(extras.reader_grade)
    agrees = ""
    if extras.reader_grade is not None and report.grade is not None:
        agrees = ", as the model" if extras.reader_grade == report.grade else ", unlike the model"
    done = "; reviewed" if extras.reviewed else ""
    return f'<p class="reader"><b>Reader:</b> {grade}{agrees}{done}.</p>'


def _bar(name: str, value: float, chosen: bool) -> str:
    mark = ' class="chosen"' if chosen else ""
    return (
        f'<tr{mark}><th scope="row">{escape(name)}</th><td><span class="bar" style="width:{100 * value:.1f}%">'
        f"</span></td><td>{100 * value:.0f} %</td></tr>"
    )


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    figures = "".join(
        f'<figure><img alt="{escape(picture.caption)}" src="data:image/png;base64,{b64encode(picture.png).decode()}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    return f'<section class="pictures">{figures}</section>'


def _regions(report: GradeReport, extras: PageExtras) -> str:
    ratios = extras.ratios or {}
    pets = [pet for pet in dict.fromkeys(name for row in ratios.values() for name in row)]
    claimed = report.grade is not None
    header = ["Region", "Volume"]
    if claimed:
        header += [f"For {report.grade}", "Effect", "Weight"]
    header += [f"{pet} T/L" for pet in pets]
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    rows = sorted(report.regions, key=lambda row: -abs(row.deletion_effect or 0.0)) if claimed else report.regions
    body = "".join(_region_row(row, report, extras, pets) for row in rows)
    note = ""
    if claimed:
        note = (
            f'<p class="note">Effect: how much less probable "{escape(report.grade)}" would be without the region '
            "(percentage points; below zero: more probable). "
            f"For {escape(report.grade)}: what the region adds to its score; with the baseline of "
            f"{_signed(report.baseline[report.grade], 2)} these add up. Weight is attention, not importance.</p>"
        )
    if pets:
        note += '<p class="note">T/L: the lesion\'s highest uptake over the middle one of the liver around it.</p>'
    return (
        f"<section><h2>Regions that decided</h2><table class='regions'><thead><tr>{cells}</tr></thead>"
        f"<tbody>{body}</tbody></table>{note}</section>"
    )


def _region_row(row: ReportRegion, report: GradeReport, extras: PageExtras, pets: Sequence[str]) -> str:
    color = (extras.colors or {}).get(row.name)
    swatch = ""
    if color is not None:
        red, green, blue = (round(255 * channel) for channel in color)
        swatch = f'<span class="swatch" style="background:rgb({red},{green},{blue})"></span>'
    small = " (too small to be seen well)" if row.low_resolution else ""
    cells = [f"{swatch}{escape(row.name)}{small}", _volume(row.volume_ml)]
    if report.grade is not None:
        cells += [
            _signed(row.contribution[report.grade], 2),
            _signed(100 * row.deletion_effect, 0),
            f"{row.weight:.2f}",
        ]
    ratios = (extras.ratios or {}).get(row.name, {})
    cells += [f"{ratios[pet]:.2f}" if pet in ratios else "" for pet in pets]
    first, *rest = cells
    return f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"


def _volume(ml: float | None) -> str:
    if ml is None:
        return ""
    return f"{ml:.0f} ml" if ml >= 100 else f"{ml:.1f} ml" if ml >= 1 else f"{ml:.2g} ml"


def _signed(value: float, digits: int) -> str:
    """With a sign, a true minus, and no sign on what rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else "\u2212") + text


def _findings(report: GradeReport) -> str:
    if not report.findings:
        return "<section><h2>Checks</h2><p>Nothing was found.</p></section>"
    ordered = sorted(report.findings, key=lambda finding: list(_SEVERITIES).index(finding.severity))
    items = "".join(
        f'<li class="{finding.severity}"><b>{_SEVERITIES[finding.severity]}:</b> {escape(finding.message)}</li>'
        for finding in ordered
    )
    return f'<section><h2>Checks</h2><ul class="findings">{items}</ul></section>'


def _foot(report: GradeReport, extras: PageExtras) -> str:
    model = report.model
    return (
        f"<footer>Model {escape(model.name)} {escape(model.version)}, SHA-256 {escape(model.sha256)}, on "
        f"{escape(report.device.upper())}. The method is REACT-KD, arXiv 2508.02104.</footer>"
    )


def _image_name(name: str) -> str:
    try:
        return ROLES[Modality(name)].removeprefix("the ")
    except ValueError:  # another bundle reads other images
        return name
