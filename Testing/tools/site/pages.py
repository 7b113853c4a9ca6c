"""Builds a website from the unmodified pages: a hook of MkDocs (`mkdocs.yml` beside this file).

The pages are written for a repository, where links can point to any file. Here linked files outside docs/ become pages
or files of the site, notebooks in script form become pages, the navigation is the index in docs/README.md, and formulas
and diagrams are rendered when the site is built, so that browsers need no script for them.
"""

from __future__ import annotations

import html
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
#: position in the site, relative to docs/, of files outside docs/; files in docs/ keep their position
PLACES = {
    "README.md": "index.md",
    "docs/README.md": "pages.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE.txt": "LICENSE.txt",
    "CITATION.cff": "CITATION.cff",
    "Resources/REACTKD.png": "pictures/icon.png",
    "Testing/tools/site/site.css": "site.css",
    "Testing/tools/site/iframe-worker.js": "assets/iframe-worker.js",
}
ORIGINS = {place: name for name, place in PLACES.items()}
#: elements that browsers load automatically from another server
ELSEWHERE = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)="((?:https?:)?//[^"]+)"')
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]+)?\))")


def place(name: str) -> str:
    """Return the position of a repository file in the site, e.g. `docs/notebooks/a.py` at `notebooks/a.md`."""
    if name.startswith("docs/notebooks/"):
        return name.removeprefix("docs/").removesuffix(".py") + ".md"
    return PLACES.get(name, name.removeprefix("docs/"))


def on_config(config: Any) -> Any:
    """Set the navigation, and the renderers of formulas and diagrams."""
    from pymdownx.slugs import slugify

    config.nav = navigation((REPOSITORY / "docs" / "README.md").read_text(encoding="utf-8"))
    fences = {"math": draw_formula, "mermaid": draw_diagram}
    config.mdx_configs["pymdownx.superfences"] = {
        "custom_fences": [{"name": name, "class": name, "format": draw} for name, draw in fences.items()]
    }
    config.mdx_configs["pymdownx.arithmatex"] = {"generic": True}
    config.mdx_configs["toc"] = {"slugify": slugify(case="lower"), "permalink": True}
    return config


def navigation(index: str) -> list[Any]:
    """Return the front page, then a section for each heading of the index with the first page that each item links."""
    nav: list[Any] = ["index.md"]
    for title, text in re.findall(r"^## ([^:\n]+).*?\n(.*?)(?=^## |\Z)", index, re.MULTILINE | re.DOTALL):
        links = re.findall(r"^- (?:[^\[\n]*)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)", text, re.MULTILINE)
        pages = [place(posixpath.normpath(posixpath.join("docs", link))) for link in links]
        nav.append({title: list(dict.fromkeys(page for page in pages if page.endswith(".md")))})
    return nav


def on_files(files: Any, config: Any) -> Any:
    """Add the files outside docs/, and notebooks as pages."""
    from mkdocs.structure.files import File

    for file in list(files):
        if file.src_uri == "README.md" or file.src_uri.startswith("notebooks/"):
            files.remove(file)
    for name, at in PLACES.items():
        files.append(File.generated(config, at, abs_src_path=str(REPOSITORY / name)))
    for notebook in sorted((REPOSITORY / "docs" / "notebooks").glob("*.py")):
        text = page_of_notebook(notebook.read_text(encoding="utf-8"))
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=text))
    return files


def page_of_notebook(script: str) -> str:
    """Convert a script in percent format to a page: text cells unchanged, code cells in fences."""
    out = []
    for kind, cell in re.findall(r"^# %%([^\n]*)\n(.*?)(?=^# %%|\Z)", script, re.MULTILINE | re.DOTALL):
        if "markdown" in kind:
            out.append(re.sub(r'^# ?|^"""|"""$', "", cell.strip(), flags=re.MULTILINE))
        else:
            out.append(f"```python\n{cell.strip()}\n```")
    return "\n\n".join(out) + "\n"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links to the positions of files in the site."""
    at = page.file.src_uri
    if at == "index.md":  # alone in its section, so a navigation list is useless
        page.meta["hide"] = ["navigation"]
    name = ORIGINS.get(at) or "docs/" + (re.sub(r"md$", "py", at) if at.startswith("notebooks/") else at)

    def moved(link: re.Match[str]) -> str:
        if "://" in link[2]:
            return link[0]
        target = place(posixpath.normpath(posixpath.join(posixpath.dirname(name), link[2])))
        return link[1] + posixpath.relpath(target, posixpath.dirname(at) or ".") + link[3]

    return LINK.sub(moved, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Render inline formulas."""
    from latex2mathml.converter import convert

    formula = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
    return formula.sub(lambda found: f'<span class="term">{convert(html.unescape(found[1]))}</span>', content)


def on_post_page(output: str, page: Any, **_: Any) -> None:
    """Warn of elements that a page would load from another server; `mkdocs build --strict` then fails."""
    for address in ELSEWHERE.findall(output):
        logging.getLogger("mkdocs.plugins.reactkd").warning("%s loads %s", page.file.src_uri, address)


def draw_formula(source: str, *_: Any, **__: Any) -> str:
    """Render a block formula as MathML, which browsers display without a script."""
    from latex2mathml.converter import convert

    return f'<div class="formula">{convert(source, display="block")}</div>'


def draw_diagram(source: str, *_: Any, **__: Any) -> str:
    """Render a Mermaid diagram as SVG."""
    import mmdr

    return f'<div class="diagram">{mmdr.render(source).svg()}</div>'
