"""The layout of the HTML page in a browser: nothing is cut off in a narrow window or by a long word.

The measurements need Chromium; without it they are skipped.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape

import pytest

from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.masks.uptake import RegionUptake
from REACTKDLib.core.reports.ensemble import EnsembleAnswer, MemberAnswer
from REACTKDLib.core.reports.html import PageExtras, report_page
from support.scene_cases import make_case, make_result

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
UPTAKE = RegionUptake(suv_max=12.3, suv_mean=10.1, suv_peak=11.4, to_liver=2.04, unit_inferred=False)
MEASURES = RegionMeasures(23.0, {"fdg": UPTAKE, "acetate": UPTAKE})
#: runs in the page; its content security policy, which forbids scripts, is taken out for the test
SCRIPT = """<script>
const lines = e => Math.round(e.getClientRects()[0].height / 20);
const found = JSON.stringify({
  width: window.innerWidth,
  page: document.documentElement.scrollWidth,
  names: [...document.querySelectorAll(".regions th:first-child")].map(lines),
  tables: [...document.querySelectorAll(".wide")].every(e => e.scrollWidth <= e.clientWidth),
  rows: [...document.querySelectorAll(".bars tr")].map(lines),
  comment: document.querySelector(".comment")?.innerText,
  bars: Math.round(document.querySelector(".bars").getClientRects()[0].right),
});
document.body.innerHTML = "<pre id=measured></pre>";
document.getElementById("measured").textContent = found;
</script></body>"""


@pytest.fixture(scope="module")
def report():
    made = make_result(make_case()).report
    return replace(made, regions=tuple(replace(row, measures=MEASURES) for row in made.regions))


def measured(folder, page, width):
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", SCRIPT)
    (folder / "page.html").write_text(page, encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--window-size={width},1000", "--dump-dom", (folder / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    return json.loads(unescape(re.search(r'<pre id="measured">(.*?)</pre>', done.stdout)[1]))


@pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("comment", ["", "x" * 300], ids=["plain", "long word"])
def test_the_page_fits_its_window(report, tmp_path, width, comment):
    found = measured(tmp_path, report_page(report, PageExtras(comment=comment)), width)
    assert found["page"] <= found["width"], "a part of the page lies beyond the right edge"
    assert found["bars"] <= found["width"], "the probabilities lie beyond the right edge"
    assert found["tables"] or width < 600, "a table needs scrolling in a wide window"
    assert max(found["names"]) <= 3, "the names of regions are broken letter by letter"


@pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
def test_the_lines_of_a_comment_stay_lines(report, tmp_path):
    found = measured(tmp_path, report_page(report, PageExtras(comment="1. small\n2. near the dome < 1 cm")), 1280)
    assert found["comment"] == "1. small\n2. near the dome < 1 cm"


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


@pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
def test_the_spread_of_an_ensemble_stays_in_its_line(report, tmp_path):
    members = tuple(
        MemberAnswer(name, "1", "0" * 64, max(chances, key=chances.get), chances)
        for name, chances in (("A", {"well": 0.1, "moderate": 0.2, "poor": 0.7}), ("B", dict(report.probabilities)))
    )
    page = report_page(replace(report, ensemble=EnsembleAnswer(members)))
    assert "<small>(" in page
    assert max(measured(tmp_path, page, 1280)["rows"]) <= 1
