#!/usr/bin/env python3
"""Keeps the panel's list of sentences equal to what core and scene can say, so that translators find all of it.

    python Testing/tools/sentences.py            say whether the list is up to date; exit status 1 if not
    python Testing/tools/sentences.py --write    write the list

A sentence is a text of a module (not its documentation) that begins with a capital letter or a value and ends with a
period. Its values become named placeholders. What is said in part of a sentence, such as a count of lesions or one of
two words, follows as a phrase.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "scene")
TARGET = Path("REACTKD/REACTKDLib/gui/sentences.py")
#: nothing of these is on show in the panel: phantoms, networks, and pages and codes that are English for every reader
UNSEEN = (
    "core/phantom",
    "core/student/bands.py",
    "core/student/cbam.py",
    "core/student/config.py",
    "core/student/encoder.py",
    "core/student/head.py",
    "core/student/network.py",
    "core/student/pooling.py",
    "core/reports/html.py",
    "core/reports/values",  # which mark their texts themselves
    "core/student/bundle_metadata.py",
    "core/files/dicom/codes.py",
)
#: modules whose words and clauses stand in sentences, name the steps of work, or label what is drawn
WITH_PHRASES = (
    "core/cases/case_list.py",
    "core/masks/checks.py",
    "core/files/dicom/geometry.py",
    "core/files/dicom/images.py",
    "core/files/dicom/series.py",
    "core/files/dicom/suv.py",
    "core/files/dicom/tracer.py",
    "core/files/volumes.py",
    "core/grading/grade_result.py",
    "core/images/hounsfield.py",
    "core/masks/fixes.py",
    "core/masks/pet_checks.py",
    "core/review/review.py",
    "core/modality.py",
    "core/grading/session.py",
    "core/worker/handler.py",
    "scene/case_loader.py",
    "scene/grading.py",
    "scene/mask_check.py",
    "scene/mask_fixes.py",
    "scene/scene_files.py",
)
#: words that stand in sentences, too short to be told from names by their looks
WORDS = (
    *("left", "right", "back", "front", "small", "large", "liver", "tumor", "lesion"),
    *("the CT", "Parenchyma", "Lesion {number}", "Drawing", "Deciding"),
    "trained on digital phantoms: not for clinical use",  # what the shipped model says of itself
)
WIDTH = 120
HEAD = '''"""What the core and the scene can say, for translators. Written by `make lists`; do not change it by hand.

Slicer's tools find these texts as they find those of any module, in the context "gui.sentences"; `gui.spoken` looks
them up when a sentence is shown. Values have names in braces, which a translation keeps.
"""

from __future__ import annotations


def _(text: str) -> str:
    """Mark a text for translators; it is translated where it is shown."""
    return text


SENTENCES = (
'''


def texts_of(source: str, phrases: bool = False) -> Iterator[str]:
    """Yield the sentences of a module as templates, and what is said in part of them; with `phrases`, phrases too."""
    tree = ast.parse(source)
    silent = _silent(tree)
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            template, values = _template(node)
            silent |= {id(part) for part in ast.walk(node)} - {id(node)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            template, values = node.value.replace("{", "{{").replace("}", "}}"), []
        else:
            continue
        if is_sentence(template) or (phrases and is_phrase(template)):
            yield template
            for value in values:
                yield from _phrases(value)


def is_sentence(template: str) -> bool:
    """True for what is said to a person: three words at least, a beginning and an end."""
    bare = re.sub(r"\{\w+\}", "", template)
    begins = re.match(r"[A-Z{]|the ", template) is not None
    return begins and re.search(r"\.(\s?\{\w+\})?$", template) is not None and len(re.findall(r"[a-z']+", bare)) >= 3


def is_phrase(template: str) -> bool:
    """True for two words or more, some of them plain, that are no code."""
    words = template.split(" ")
    looks = all(re.fullmatch(r"[(']*([\w/'-]+|\{\w+\})[,.;:)'%]*", word) for word in words)
    plain = [word for word in words if re.fullmatch(r"[a-z]{2,}|[A-Z][a-z]+ing", word)]
    return looks and len(words) > 1 and len("".join(plain)) >= (6 if "{" in template else 2)


def _silent(tree: ast.AST) -> set[int]:
    """Texts that nobody is shown: documentation, which stands alone, what is looked for in another text, and what a
    programming error says.
    """
    nodes = list(ast.walk(tree))
    found = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        match node:
            case ast.Compare(left=left):
                found |= {id(left)}
            case ast.Raise(exc=ast.Call(func=ast.Name(id="ValueError" | "RuntimeError" | "TypeError"), args=args)):
                found |= {id(inner) for arg in args for inner in ast.walk(arg)}
    return found


def _template(node: ast.JoinedStr) -> tuple[str, list[ast.expr]]:
    """The text with named placeholders, and what stands in them."""
    out, names, values = "", {}, []
    for part in node.values:
        if isinstance(part, ast.Constant):
            out += part.value.replace("{", "{{").replace("}", "}}")
            continue
        said = ast.unparse(part.value)
        if said not in names:
            names[said] = _free_name(_name(part.value), set(names.values()))
            values.append(part.value)
        out += f"{{{names[said]}}}"
    return out, values


def _name(value: ast.expr) -> str:
    """What a value is called for translators."""
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().strip("_")
        case ast.Subscript(value=ast.Name(id="ROLES")):
            return "image"
        case ast.Subscript(slice=ast.Constant(value=str(name))) if name.isidentifier():
            return name
        case ast.Subscript(value=inner):
            return _name(inner)
        case ast.Call(func=ast.Name(id="plural")):
            return "counted"
        case ast.Call(func=ast.Name(id="quoted" | "sorted" | "len" | "str" | "sentence"), args=[first, *_]):
            return _name(first)
        case ast.Call(func=func):
            return _name(func)
        case ast.BoolOp(values=[first, *_]):
            return _name(first)
        case ast.GeneratorExp(elt=inner):
            return _name(inner)
    return "value"


def _free_name(name: str, taken: set[str]) -> str:
    return next(n for n in (name, *(f"{name}{i}" for i in range(2, 99))) if n not in taken)


def _phrases(value: ast.expr) -> Iterator[str]:
    """The counted things and the chosen words inside a value."""
    for node in ast.walk(value):
        match node:
            case ast.Call(func=ast.Name(id="plural"), args=[_, ast.Constant(value=str(one)), *many]):
                yield f"{{count}} {one}"
                yield f"{{count}} {many[0].value if many else one + 's'}"
            case ast.IfExp(body=first, orelse=second):
                yield from _words(first, second)
            case ast.BoolOp(values=parts):
                yield from _words(*parts)


def _words(*parts: ast.expr) -> Iterator[str]:
    for part in parts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and re.search("[a-z]{2}", part.value):
            yield part.value


def sentences(repository: Path = REPOSITORY) -> list[str]:
    """Return all of them, sorted, each once."""
    root = repository / "REACTKD" / "REACTKDLib"
    found = set(WORDS)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if not name.startswith(UNSEEN):
                found.update(texts_of(path.read_text(encoding="utf-8"), name in WITH_PHRASES))
    alike = {re.sub(r"\{\w+\}", "{}", text): text for text in sorted(found, reverse=True)}  # but for a value's name
    return sorted(alike.values())


def page(texts: list[str]) -> str:
    """The module that lists them, formatted as the linter wants it."""
    return HEAD + "".join(_entry(text) for text in texts) + ")\n"


def _entry(text: str) -> str:
    line = f"    _({_literal(text)}),\n"
    if len(line) <= WIDTH + 1:
        return line
    return "    _(\n" + "".join(f"        {_literal(part)}\n" for part in _folded(text, WIDTH - 12)) + "    ),\n"


def _literal(text: str) -> str:
    quote = "'" if '"' in text and "'" not in text else '"'
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n") + quote


def _folded(text: str, width: int) -> list[str]:
    lines = [""]
    for word in re.findall(r"\S+\s*|\s+", text):
        if lines[-1] and len(_literal(lines[-1] + word)) > width:
            lines.append("")
        lines[-1] += word
    return lines


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    target, wanted = REPOSITORY / TARGET, page(sentences())
    if target.is_file() and target.read_text(encoding="utf-8") == wanted:
        print(f"{TARGET}: was up to date")
        return 0
    if "--write" not in arguments:
        print(f"{TARGET} does not list what the core can say; run `make lists`.")
        return 1
    target.write_text(wanted, encoding="utf-8")
    print(f"{TARGET}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
