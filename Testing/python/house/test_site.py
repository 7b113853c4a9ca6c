"""The site shows every page: its navigation equals the index, and the index lists all pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tools.site import pages

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "docs"
INDEX = (DOCS / "README.md").read_text(encoding="utf-8")
SITE = REPOSITORY / "Testing" / "tools" / "site"
#: package, its first release that needs a newer Python than ours, and that Python; read from their metadata
NEEDS_NEWER = [("pymdown-extensions", "13.0", "3.11.5"), ("mkdocs-material", "9.8", "3.11")]


def named(nav: list[Any]) -> Iterator[str]:
    """The pages listed in a navigation."""
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            yield from named([page for pages_of_it in entry.values() for page in pages_of_it])


def test_the_index_names_every_page() -> None:
    written = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    records = {f"decisions/{page.name}" for page in (DOCS / "decisions").glob("[0-9]*.md")}
    notebooks = {f"notebooks/{script.stem}.md" for script in (DOCS / "notebooks").glob("*.py")}
    shown = set(named(pages.navigation(INDEX)))
    assert shown - set(pages.PLACES.values()) == (written | notebooks) - records - {"README.md"}
    sections = [title for entry in pages.navigation(INDEX) if isinstance(entry, dict) for title in entry]
    assert sections == ["Tutorials", "How-to", "Reference", "Explanation", "Results"]


def test_a_page_missing_in_the_index_is_reported() -> None:
    without = re.sub(r"^- \[The panel\].*\n", "", INDEX, flags=re.MULTILINE)
    assert without != INDEX and "reference/panel.md" not in set(named(pages.navigation(without)))


@pytest.mark.parametrize(
    ("at", "link", "target"),
    [
        ("index.md", "docs/explanation/method.md#losses", "explanation/method.md#losses"),
        ("pages.md", "../README.md", "index.md"),
        ("results/reliability.md", "../../README.md", "../index.md"),
        ("how-to/training.md", "../notebooks/train_a_model.py", "../notebooks/train_a_model.md"),
        ("notebooks/add_your_own.md", "../../CONTRIBUTING.md", "../contributing.md"),
        ("contributing.md", "docs/README.md", "pages.md"),
        ("index.md", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(at: str, link: str, target: str) -> None:
    class Page:
        meta: dict[str, Any] = {}

        class file:
            src_uri = at

    assert pages.on_page_markdown(f"[a]({link})", page=Page()) == f"[a]({target})"


def test_a_notebook_becomes_a_page() -> None:
    script = (
        '# %% [markdown]\n"""# Title\n\nWords.\n"""\n\n# %%\nx = 1\n# -> 1\n\n# %% [markdown]\n# ## Part\n#\n# More.\n'
    )
    expected = "# Title\n\nWords.\n\n\n```python\nx = 1\n# -> 1\n```\n\n## Part\n\nMore.\n"
    assert pages.page_of_notebook(script) == expected


def test_resources_from_other_servers_are_reported() -> None:
    own = '<link href="../site.css"><script src="assets/a.js"></script><a href="https://example.org">there</a>'
    assert pages.ELSEWHERE.findall(own) == []
    others = '<script defer src="https://example.org/a.js"></script><img alt="a" src="//example.org/b.png">'
    assert pages.ELSEWHERE.findall(others) == ["https://example.org/a.js", "//example.org/b.png"]


def test_search_needs_no_script_of_another_server() -> None:
    settings = (SITE / "mkdocs.yml").read_text(encoding="utf-8")
    (scripts,) = re.findall(r"^  polyfills:\n((?:    - .+\n)+)", settings, re.MULTILINE)
    assert re.findall(r"- (.+)", scripts) == ["assets/iframe-worker.js"], "else the plugin takes it from a CDN"
    assert "assets/iframe-worker.js" in pages.PLACES.values()


def pins(python: str) -> list[Requirement]:
    """The packages that `make docs` installs for that Python, such as '3.11.2'."""
    lines = (SITE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line[:1] != "#"]
    short = ".".join(python.split(".")[:2])
    this = {"python_version": short, "python_full_version": python}
    return [pin for pin in found if pin.marker is None or pin.marker.evaluate(this)]


@pytest.mark.parametrize("python", ["3.10.0", "3.11.0", "3.11.2", "3.12.0", "3.13.0"])
def test_what_builds_the_site_is_pinned_once_to_a_release_for_that_python(python: str) -> None:
    """3.11.2 is the Python of Debian 12, for which pip found no release of a pinned package."""
    found = pins(python)
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in found)
    assert len({pin.name for pin in found}) == len(found) and {p.name for p in found} == {
        p.name for p in pins("3.13.0")
    }
    refused = [
        f"{name} {release} needs Python {needed}"
        for name, release, needed in NEEDS_NEWER
        if Version(python) < Version(needed)
        for pin in found
        if pin.name == name and Version(str(pin.specifier).lstrip("=")) >= Version(release)
    ]
    assert not refused
