"""The pages refer only to existing make targets, links with anchors, and files; and decision records share one form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "docs"
RECORDS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
#: records describe the state on their date; all other pages describe the current one
OF_TODAY = [page for page in PAGES if page not in RECORDS]
#: where a path on a page may start
ROOTS = (
    *("", "REACTKD", "REACTKD/REACTKDLib", "REACTKD/REACTKDLib/core", "REACTKDTrain", "REACTKDTrain/REACTKDTrainLib"),
    *("Testing", "Testing/python"),
)
SOURCE = re.compile(r"\.(py|ui|xml|css|j2|schema\.json)$")
FOLDER = re.compile(r"(REACTKD(Train)?(Lib)?|Testing|core|scene|gui|commands)(/\w+)+/?$")
HEADINGS = ("Status", "Context", "Decision", "Alternatives", "Consequence")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem[:4])


def paths_in(text: str) -> Iterator[str]:
    """Yield each name in backticks that looks like a source file or a source folder."""
    for name in re.findall(r"`([\w./-]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        if SOURCE.search(name) or FOLDER.match(name):
            yield name


def missing(text: str) -> list[str]:
    """The paths on a page that do not exist; a bare file name may match a file in any folder."""
    names = {path.name for root in ("REACTKD", "REACTKDTrain", "Testing") for path in (REPOSITORY / root).rglob("*.*")}
    names |= {path.name for path in REPOSITORY.iterdir()}
    return [
        name
        for name in paths_in(text)
        if not any((REPOSITORY / root / name).exists() for root in ROOTS) and ("/" in name or name not in names)
    ]


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub generates for the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    """The broken links of a page, to files and to headings in them."""
    out = []
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        target = page.parent / link if link else page
        if "://" in link:
            continue
        known = target.exists() and (not anchor or anchor in anchors_of(target.read_text(encoding="utf-8")))
        out += [] if known else [f"{link}#{anchor}"]
    return out


@pytest.mark.parametrize("page", OF_TODAY, ids=lambda page: page.name)
def test_files_named_on_a_page_exist(page: Path) -> None:
    assert missing(page.read_text(encoding="utf-8")) == []


def test_missing_files_are_reported() -> None:
    text = (
        "`core/errors.py`, `errors.py`, `core/masks`, not `core/no_such.py`, `no_such.py`, `core/nowhere/`, `a.nii.gz`"
    )
    assert missing(text) == ["core/no_such.py", "no_such.py", "core/nowhere/"]
    pages = "".join(page.read_text(encoding="utf-8") for page in OF_TODAY)
    assert len(set(paths_in(pages))) > 50, "the check must find the paths"


@each_page
def test_links_of_a_page_exist(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def test_broken_links_are_reported() -> None:
    text = "[a](README.md) [b](none.md) [c](#here) [d](#there) [e](https://example.org/x)\n# Here\n"
    page = REPOSITORY / "README.md"
    assert broken_links(page, text) == ["none.md#", "#here", "#there"], "an anchor is looked up in the page itself"


@pytest.mark.parametrize("page", OF_TODAY, ids=lambda page: page.name)
def test_commands_that_a_page_names_can_be_run(page: Path) -> None:
    modules = set(re.findall(r"python -m (REACTKD[\w.]*\w)", page.read_text(encoding="utf-8")))
    files = {module: module.replace(".", "/") for module in modules}
    roots = (REPOSITORY / "REACTKD", REPOSITORY / "REACTKDTrain")
    wanted = {
        m: [root / f"{file}{end}" for root in roots for end in (".py", "/__main__.py")] for m, file in files.items()
    }
    assert [module for module, places in wanted.items() if not any(map(Path.is_file, places))] == []


@each_page
def test_make_targets_named_on_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`| {4})make ([a-z-]+)", page.read_text(encoding="utf-8"))) <= targets


def title_and_date(record: Path) -> tuple[str, str]:
    """The content of a record's first lines, without its number."""
    first, _, dated, *_ = record.read_text(encoding="utf-8").splitlines()
    number, _, title = first.removeprefix("# ").partition(" ")
    assert first.startswith("# ") and number == record.name[:4] and title, first
    return title, dated.removeprefix("Date: ")


def test_decisions_are_numbered_in_the_order_of_their_dates() -> None:
    assert [record.name[:4] for record in RECORDS] == [f"{n:04d}" for n in range(1, len(RECORDS) + 1)]
    dates = [date.fromisoformat(title_and_date(record)[1]) for record in RECORDS]
    assert len(dates) > 60 and dates == sorted(dates)


@each_record
def test_a_decision_has_context_decision_and_consequence(record: Path) -> None:
    parts = re.split(r"^## (.+)$", record.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    headings, texts = parts[::2], parts[1::2]
    assert headings == [name for name in HEADINGS if name in headings]
    assert {"Context", "Decision", "Consequence"} <= set(headings)
    assert all(text.strip() for text in texts)


def test_the_table_of_decisions_holds_every_record() -> None:
    table = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{4}) \| \[(.+)\]\((.+\.md)\) \| (\S+) \| .+ \|$", table, re.MULTILINE)
    assert rows == [(record.name[:4], title, record.name, day) for record in RECORDS
                    for title, day in [title_and_date(record)]]  # fmt: skip
