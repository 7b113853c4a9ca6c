"""A translation of the extension into a made-up language, with the tools that Slicer uses: lupdate and lrelease.

Texts that the tools do not find stay English, so a test can detect them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import xml.etree.ElementTree as ElementTree
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
#: parts that are not translated: placeholders, tags and entities of rich text
KEPT = re.compile(r"(\{\w+\}|<[^>]*>|&\w+;)")
#: a call of `_` with one text, of one or several literals, where `_` is not the end of another name
CALL = re.compile(r"(?<!\w)_\((?=\s*[\"'])((?:\s*\"(?:[^\"\\\n]|\\.)*\"|\s*'(?:[^'\\\n]|\\.)*')+\s*,?\s*)\)")


def made_up(text: str) -> str:
    """Return the text in the made-up language."""
    parts = enumerate(KEPT.split(text))
    return "".join(part if n % 2 else re.sub("[A-Z]", "Ñ", re.sub("[a-z]", "ñ", part)) for n, part in parts)


def write_translation(folder: Path) -> Path:
    """Find every text of the module, translate it, and return the compiled translation (.qm) in `folder`."""
    for path in sorted((REPOSITORY / "REACTKD").rglob("*")):
        target = folder / path.relative_to(REPOSITORY)
        if path.suffix in (".py", ".ui"):
            target.parent.mkdir(parents=True, exist_ok=True)
            text = _with_contexts(path) if path.suffix == ".py" else path.read_text(encoding="utf-8")
            target.write_text(text, encoding="utf-8")
    texts = folder / "REACTKD_xx.ts"
    sources = [str(path) for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".ui")]
    _run("lupdate", *sources, "-ts", str(texts))
    tree = ElementTree.parse(texts)
    for message in tree.iter("message"):
        translation = message.find("translation")
        translation.attrib.pop("type", None)
        translation.text = made_up(message.findtext("source"))
    tree.write(texts, encoding="utf-8")
    _run("lrelease", str(texts), "-qm", str(folder / "REACTKD_xx.qm"))
    return folder / "REACTKD_xx.qm"


def _with_contexts(path: Path) -> str:
    """Return the source with translate("package.module", "text") for _("text"), as Slicer does before lupdate."""
    package = f"{path.parent.name}." if (path.parent / "__init__.py").is_file() else ""
    return CALL.sub(rf'translate("{package}{path.stem}", \1)', path.read_text(encoding="utf-8"))


def _run(tool: str, *arguments: str) -> None:
    program = shutil.which(f"pyside6-{tool}", path=sysconfig.get_path("scripts"))
    assert program is not None, f"{tool} comes with PySide6-Essentials"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
