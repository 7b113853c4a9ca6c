"""Interpretation of segment names: liver, tumor, something else, or ambiguous.

The interpretation is strict: a name with anything beyond liver or tumor ("liver vessels", "kidney tumor", a word in
another script) is not recognized. For another task, "liver" and "tumor" stand for its organ and its lesions, with the
words that the task states (see `name_words`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from REACTKDLib.core.files.name_words import Kind, NameWords, name_words
from REACTKDLib.core.task import HCC_GRADE, Task

# The author, person or program, and the version.
_PREDICTED = re.compile(
    r"(nnunet|unet|monai|deepedit|medsam|sam|swinunetr|vista|(total)?segmentator|auto|autoseg|automatic(ally)?|automated|"
    r"pred|preds|predicted|predictions?|ai|dl|cnn|model|models|network|inference|inferred|ensemble|algorithm|software)"
)
_AUTHOR = re.compile(r"(readers?|raters?|observers?|annotators?|radiologists?|experts?|doctor|dr)")
_EDITION = re.compile(
    r"(manual(ly)?|gt|ground|truth|human|hand|drawn|edited|corrected|revised|refined|reviewed|approved|final|old|new|"
    r"original|orig|draft|initial|copy|version|ver|v|consensus)"
)
# Connectors between the organ's and the tumor's word in the name of one thing. Any other sign between them may mean
# "without" (minus, backslash), "and" (plus, comma, slash) or neither (a hyphen).
_JOINS = frozenset(" \t\r\n_.:()[]{}'\"")
_NOT_BEFORE = re.compile(r"(?:^|[\s_(\[])[-!~^\\]+(?=[a-z])")  # "~tumor"
_SMALL_CHANGES = (
    (re.compile(r"(?<![a-z])(w\s?[/.]\s?o(ut)?|wo)(?![a-z])\.?"), " without "),
    (re.compile(r"(?<![a-z])nn[ _-]?u[ _-]?net(?![a-z])"), "nnunet"),
    (re.compile(r"(?<![a-z])u[ _-]net(?![a-z])"), "unet"),
)


@dataclass(frozen=True)
class SegmentName:
    """A parsed name. kind: what it shows, None for something else or if it is ambiguous.

    task: defines the organ and the lesions.
    """

    name: str
    task: Task = HCC_GRADE

    @cached_property
    def _known(self) -> NameWords:
        return name_words(self.task.organ, self.task.lesion)

    @cached_property
    def text(self) -> str | None:
        """Lower-case ASCII with punctuation, camel case split; None if it contains a non-ASCII letter or symbol."""
        out = []
        for character in unicodedata.normalize("NFKD", self.name):
            plain = character if character.isascii() else _as_ascii(character)
            if plain is None:
                return None
            out.append(plain)
        text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", "".join(out)).lower()
        for pattern, plain in _SMALL_CHANGES:
            text = pattern.sub(plain, text)
        return self._known.joined(text)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words and numbers of `text`; none if it is None."""
        return tuple(re.findall(r"[a-z]+|\d+", self.text or ""))

    @cached_property
    def _without(self) -> str:
        """The words that mean "without tumor"; empty if there are none."""
        found = self._known.without.search(" ".join(self.words))
        return found.group(0) if found else ""

    @cached_property
    def plain_words(self) -> tuple[str, ...]:
        """The words without "minus tumor" and similar, and without those for the contrast phase of the image."""
        joined = " ".join(self.words)
        joined = joined.replace(self._without, " ").strip() if self._without else joined
        return tuple(joined.replace("portal venous phase", " ").split())

    @cached_property
    def _reading(self) -> tuple[Kind | None, bool]:
        """The kind, and whether the name may mean the tumor plus something else."""
        words = self.plain_words
        known = self._known
        kinds = {known.kind_of(word) for word in words}
        others = {word for word in words if known.kind_of(word) is None}
        if not all(map(self.is_neutral, others)):
            return None, False
        if "tumor" in kinds:
            two_ways = not self._without and _is_equivocal(self.text, known)
            return (None if self._without or two_ways else "tumor"), two_ways
        adjective = "parenchyma" in others and not others.isdisjoint(self.task.organ.beside)
        if "liver" in kinds or adjective or " ".join(words) in ("parenchyma", "parenchymal"):
            return "liver", False
        return None, False

    @property
    def kind(self) -> Kind | None:
        """The kind of a segment with this name."""
        return self._reading[0]

    @property
    def is_one_lesion(self) -> bool:
        """True for "Tumor 2", "Lesion_3", "HCC", "satellite nodule": exactly one whole lesion."""
        made = {word for word in self.words if _EDITION.fullmatch(word) or _PREDICTED.fullmatch(word)}
        words = [word for word in self.words if word not in made]
        others = [word for word in words if not self._known.one_lesion.fullmatch(word)]
        return self.kind == "tumor" and len(others) < len(words) and all(map(self._known.of_one.fullmatch, others))

    @property
    def is_equivocal(self) -> bool:
        """True for "Liver-Tumor" and similar: the tumor of the liver, the liver without it, or both together."""
        return self._reading[1]

    def is_neutral(self, word: str) -> bool:
        """Return True for a word that may accompany the organ's or the tumor's word without changing its meaning."""
        patterns = (self._known.neutral, _PREDICTED, _AUTHOR, _EDITION)
        return any(pattern.fullmatch(word) for pattern in patterns)

    @cached_property
    def predicted_by(self) -> frozenset[str]:
        """The words that state that a program drew it."""
        return frozenset(word for word in self.words if _PREDICTED.fullmatch(word))

    @cached_property
    def author(self) -> str:
        """The reader, as "reader 2"; empty if none is named."""
        for n, word in enumerate(self.words):
            if _AUTHOR.fullmatch(word):
                return " ".join([word, *self.words[n + 1 : n + 2]])
        return ""

    @cached_property
    def edition(self) -> tuple[str, ...]:
        """The words for the version, with their numbers."""
        return tuple(w for w in self.words if w not in self.subject)

    @cached_property
    def subject(self) -> frozenset[str]:
        """The subject, without author and version: "tumor 2" of "Liver tumor 2 (edited, v3)"."""
        left, skip = set(), False
        for word in self.words:
            made = _PREDICTED.fullmatch(word) or _AUTHOR.fullmatch(word) or _EDITION.fullmatch(word)
            if not made and not (skip and (word.isdigit() or len(word) == 1)) and word not in self._known.aside:
                left.add("tumor" if re.fullmatch(r"tumou?rs?", word) else word)
            skip = _AUTHOR.fullmatch(word) is not None or word in ("v", "ver", "version")
        return frozenset(left)


def recognize_name(name: str, task: Task = HCC_GRADE) -> Kind | None:
    """Return the kind of a segment with this name, or None if the name is ambiguous or means something else.

    "Liver", "whole_liver", "hepatic parenchyma" and "liver minus tumor" are the liver; "tumour", "Lesion_1", "HCC",
    "liver tumor" and "necrosis" (part of a lesion) are tumors; "liver vessels", "kidney tumor", any word in another
    script and "Liver - Tumor" (which may be either without the other) are neither.
    """
    return SegmentName(name, task).kind


def drawn_twice(names: Sequence[str], task: Task = HCC_GRADE) -> bool:
    """Return True if segments with these names may show one tumor several times: by a person and a program, or two
    readers.

    This always applies to a program beside anything else and to two readers; to two versions ("edited", "v2") if the
    rest of their names agrees.
    """
    entries = [SegmentName(name, task) for name in names]
    for n, a in enumerate(entries):
        for b in entries[:n]:
            same = a.subject == b.subject
            if a.predicted_by != b.predicted_by or (a.author != b.author and (same or (a.author and b.author))):
                return True
            if same and a.edition != b.edition:
                return True
    return False


def _as_ascii(character: str) -> str | None:
    """Return the ASCII form of a character after NFKD; None for letters, digits and symbols with another meaning."""
    category = unicodedata.category(character)
    if category == "Mn":  # accents; not a mark of another script, or a stroke through the letter
        latin = "\u0300" <= character <= "\u0333" or "\u0339" <= character <= "\u036f"
        return "" if latin and character != "\u0345" else None  # this is a Greek letter (iota subscript)
    if category == "Cf":
        return ""
    if category == "Pd":
        return " - "
    return " " if category[0] in "PZ" or category == "Cc" else None


def _is_equivocal(text: str, known: NameWords) -> bool:
    """Return True if the signs in a name with a tumor's word leave open whether the tumor itself is meant."""
    if _NOT_BEFORE.search(text) or re.search(r"(?<![a-z])[a-z]/(?=\W*[a-z])", text):
        return True
    host: str | None = None
    between = ""
    for part in re.findall(r"[a-z]+|\d+|[^a-z\d]+", text):
        kind = "tumor" if known.tumor.fullmatch(part) else "host" if known.host.fullmatch(part) else ""
        if not kind:
            between += part
            continue
        if host and host != kind and _parts(between, allowed=_JOINS | {",", "-"} if host == "tumor" else _JOINS):
            return True
        host, between = kind, ""
    return False


def _parts(between: str, allowed: frozenset[str] | set[str]) -> bool:
    """Return True if the text between the organ's and the tumor's word separates them."""
    words = re.findall(r"[a-z]+", between)
    signs = re.sub(r"[a-z\d]", "", between)
    return any(word == "and" or len(word) == 1 for word in words) or any(sign not in allowed for sign in signs)
