"""The layout of the HTML page in a browser: nothing is cut off in a narrow window or by a long word.

The measurements need Chromium; without it they are skipped.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import escape, unescape

import pytest

from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.masks.uptake import RegionUptake
from REACTKDLib.core.reports.ensemble import EnsembleAnswer, MemberAnswer
from REACTKDLib.core.reports.html import PageExtras, report_page
from support.scene_cases import make_case, make_result

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
UPTAKE = RegionUptake(suv_max=12.3, suv_mean=10.1, suv_peak=11.4, to_liver=2.04, unit_inferred=False)
MEASURES = RegionMeasures(23.0, {"fdg": UPTAKE, "acetate": UPTAKE})
#: runs in each page; its content security policy, which forbids scripts, is taken out for the test
SCRIPT = """<script>
const lines = e => Math.round(e.getClientRects()[0].height / 20);
parent.found[window.name] = {
  width: window.innerWidth,
  page: document.documentElement.scrollWidth,
  names: [...document.querySelectorAll(".regions th:first-child")].map(lines),
  tables: [...document.querySelectorAll(".wide")].every(e => e.scrollWidth <= e.clientWidth),
  rows: [...document.querySelectorAll(".bars tr")].map(lines),
  comment: document.querySelector(".comment")?.innerText,
  bars: Math.round(document.querySelector(".bars").getClientRects()[0].right),
};
</script></body>"""
#: holds the pages, each in a frame with the width of its window, so that one start of the browser measures all
FRAMES = """<!DOCTYPE html><body><script>var found = {};</script><pages/><script>
onload = () => {
  document.body.innerHTML = "<pre id=measured></pre>";
  document.getElementById("measured").textContent = JSON.stringify(found);
};
</script></body>"""
COMMENTS = {"plain": "", "long word": "x" * 300}
LINES = "1. small\n2. near the dome < 1 cm"


@pytest.fixture(scope="module")
def report():
    made = make_result(make_case()).report
    return replace(made, regions=tuple(replace(row, measures=MEASURES) for row in made.regions))


@pytest.fixture(scope="module")
def ensemble(report):
    """The page of an ensemble of two models."""
    members = tuple(
        MemberAnswer(name, "1", "0" * 64, max(chances, key=chances.get), chances)
        for name, chances in (("A", {"well": 0.1, "moderate": 0.2, "poor": 0.7}), ("B", dict(report.probabilities)))
    )
    return report_page(replace(report, ensemble=EnsembleAnswer(members)))


@pytest.fixture(scope="module")
def measured(report, ensemble, tmp_path_factory):
    """What SCRIPT measured in each page, by its name and the width of its window."""
    if BROWSER is None:
        pytest.skip("Chromium is not installed")
    pages = {
        (name, width): report_page(report, PageExtras(comment=comment))
        for name, comment in COMMENTS.items()
        for width in (1280, 500)
    }
    pages["lines", 1280] = report_page(report, PageExtras(comment=LINES))
    pages["ensemble", 1280] = ensemble
    return dict(zip(pages, frames_measured(tmp_path_factory.mktemp("pages"), pages), strict=True))


def frames_measured(folder, pages):
    frames = []
    for number, ((_, width), page) in enumerate(pages.items()):
        page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", SCRIPT)
        style = f"width: {width}px; height: 800px; border: 0"  # lower than each page: it has a scroll bar
        frames.append(f'<iframe name="{number}" style="{style}" srcdoc="{escape(page)}"></iframe>')
    (folder / "page.html").write_text(FRAMES.replace("<pages/>", "".join(frames)), encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--window-size=1400,900", "--dump-dom", (folder / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    found = json.loads(unescape(re.search(r'<pre id="measured">(.*?)</pre>', done.stdout)[1]))
    return [found[str(number)] for number in range(len(pages))]


@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("comment", COMMENTS)
def test_the_page_fits_its_window(measured, width, comment):
    found = measured[comment, width]
    assert found["width"] == width
    assert found["page"] <= found["width"], "a part of the page lies beyond the right edge"
    assert found["bars"] <= found["width"], "the probabilities lie beyond the right edge"
    assert found["tables"] or width < 600, "a table needs scrolling in a wide window"
    assert max(found["names"]) <= 3, "the names of regions are broken letter by letter"


def test_the_lines_of_a_comment_stay_lines(measured):
    assert measured["lines", 1280]["comment"] == LINES


def test_a_wide_table_scrolls_in_its_own_frame(report):
    page = report_page(report)
    assert page.count('<div class="wide"><table class="regions">') == page.count('<table class="regions">') == 2


def test_regions_of_a_case_without_a_grade_decided_nothing(report):
    rows = tuple(
        replace(row, weight=None, contribution=None, deletion_effect=None, others={}) for row in report.regions
    )
    none = replace(report, grade=None, probabilities=None, baseline=None, without_regions=None, regions=rows)
    assert "<h2>Regions that decided</h2>" in report_page(report)
    page = report_page(none)
    assert "<h2>Regions</h2>" in page and "decided" not in page


def test_measures_explain_the_columns_that_there_are(report):
    """A CT alone gives the diameter of lesions only: no SUV, and no row of the parenchyma, which has no diameter."""
    ct = tuple(replace(row, measures=RegionMeasures(23.0 if row.kind == "tumor" else None)) for row in report.regions)
    for page, suv in ((report_page(report), True), (report_page(replace(report, regions=ct)), False)):
        measures = page[page.index("<h2>Measures</h2>") : page.index("<h2>Checks</h2>")]
        assert "Diameter: the longest line" in measures
        assert ("SUVpeak: the" in measures, "over the mean of the liver" in measures) == (suv, suv)
        assert ("Parenchyma" in measures) == suv and "Lesion 1" in measures


def test_the_spread_of_an_ensemble_stays_in_its_line(measured, ensemble):
    assert "<small>(" in ensemble
    assert max(measured["ensemble", 1280]["rows"]) <= 1
