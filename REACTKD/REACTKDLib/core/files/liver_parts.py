"""A liver drawn in parts: Couinaud's segments 1 to 8 or lobes, recognized by terminology code or by name.

Couinaud C. Le foie: etudes anatomiques et chirurgicales. Paris: Masson, 1957. Codes: DICOM PS3.16, CID 7170.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from REACTKDLib.core.files.segment_names import SegmentName
from REACTKDLib.core.task import Task
from REACTKDLib.core.task_parts import COUINAUD

Code = tuple[str, str]
WHOLE = frozenset("12345678")
#: code -> Couinaud segment
SEGMENT_OF_CODE: Mapping[Code, str] = {
    ("SCT", "71133005"): "1",
    ("SCT", "277956007"): "2",
    ("SCT", "277957003"): "3",
    ("SCT", "277958008"): "4",
    ("SCT", "277959000"): "5",
    ("SCT", "277960005"): "6",
    ("SCT", "277961009"): "7",
    ("SCT", "277962002"): "8",
    ("SRT", "T-62023"): "1",
    ("SRT", "T-D054F"): "2",
    ("SRT", "T-D0567"): "3",
    ("SRT", "T-D056A"): "4",
    ("SRT", "T-D056B"): "5",
    ("SRT", "T-D056C"): "6",
    ("SRT", "T-D056D"): "7",
    ("SRT", "T-D056E"): "8",
}
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8"}
_ROMAN_NUMERAL = "viii|vii|vi|iv|v|iii|ii|i"
_ORGAN = frozenset("liver livers hepatic hepar hepatis couinaud".split())
_SIDES = frozenset("left right caudate lateral medial anterior posterior superior inferior".split())
_AREAS = frozenset("lobe lobes section sector segment segments".split())
_NUMERAL = rf"(?P<number>\d+|{_ROMAN_NUMERAL}) ?(?P<half>[ab])?"
_SEGMENT = r"(?:segments?|segm?|sg|s|couinaud)"
_NAMED = re.compile(rf"\b{_SEGMENT} ?{_NUMERAL}\b")
_NAMED_BEFORE = re.compile(rf"\b(?P<number>{_ROMAN_NUMERAL})(?P<half>[ab])? {_SEGMENT}\b")
_BARE = re.compile(rf"(?P<number>{_ROMAN_NUMERAL})(?P<half>[ab])?|(?P<four>4) (?P<of_four>[ab])")
# The caudate lobe belongs to either side here: if both lobes are drawn, it is not drawn separately.
_OF_SIDE = {
    frozenset({"left"}): "1234",
    frozenset({"right"}): "15678",
    frozenset({"caudate"}): "1",
    frozenset({"left", "lateral"}): "23",
    frozenset({"left", "medial"}): "4",
    frozenset({"right", "anterior"}): "58",
    frozenset({"right", "posterior"}): "67",
}


@dataclass(frozen=True)
class LiverPart:
    """A part of the liver. covers: its Couinaud segments, "4a" and "4b" for halves; empty if the name does not tell.

    sure: the name or code also states the liver, which "S5" and "Left lobe" do not.
    """

    covers: frozenset[str]
    sure: bool


def part_codes(task: Task) -> frozenset[Code]:
    """Return the codes of the parts in which the organ of a task may be drawn."""
    return frozenset(SEGMENT_OF_CODE if task.organ.parts == COUINAUD else ())


def part_of_liver(name: str, codes: Iterable[Code] = ()) -> LiverPart | None:
    """Return the part of the liver that a segment shows, by its codes, else by its name; None for anything else.

    "Segment_5" alone is not recognized: 3D Slicer gives new segments such names.
    """
    entry = SegmentName(name)
    known = next((SEGMENT_OF_CODE[code] for code in codes if code in SEGMENT_OF_CODE), None)
    if known is not None:
        half = re.search(r"\b(?:4 |iv)([ab])$", " ".join(entry.words)) if known == "4" else None
        return LiverPart(frozenset({known + half.group(1) if half else known}), True)
    words = re.sub(rf"\bs(?=(?:{_ROMAN_NUMERAL})[ab]?\b)", "s ", " ".join(entry.plain_words)).split()
    others = [word for word in words if word not in _ORGAN]
    if not words or not all(entry.is_neutral(word) or word in _ORGAN | _SIDES | _AREAS for word in words):
        return None
    sure = len(others) < len(words)
    if not sure and re.fullmatch(r"\s*Segment_\d+\s*", name):
        return None
    joined = " ".join(others if sure else words)
    find = (lambda pattern, text: pattern.search(text)) if sure else (lambda pattern, text: pattern.fullmatch(text))
    number = find(_NAMED, " ".join(words)) or find(_NAMED_BEFORE, joined) or _BARE.fullmatch(joined)
    if number:
        return LiverPart(_covered_by(number), sure)
    sides = frozenset(words) & _SIDES
    if sides and set(others) <= _SIDES | _AREAS | {"the", "of"} and (sure or not _AREAS.isdisjoint(words)):
        return LiverPart(frozenset(_OF_SIDE.get(sides, "")), sure)
    return LiverPart(frozenset(), True) if sure and {*_SIDES, "lobe", "lobes"} & set(words) else None


def _covered_by(number: re.Match) -> frozenset[str]:
    found = {key: value for key, value in number.groupdict().items() if value}
    text = found.get("number") or found["four"]
    digit, half = _ROMAN.get(text, text), found.get("half") or found.get("of_four", "")
    return frozenset({digit + half}) if digit in WHOLE and (not half or digit == "4") else frozenset()


def missing_segments(parts: Iterable[LiverPart]) -> list[str]:
    """Return the segments of the eight that no part covers, in order; 4 needs both halves or neither."""
    covered = set().union(*(part.covers for part in parts))
    halves = covered & {"4a", "4b"}
    if len(halves) == 2:
        covered.add("4")
    if halves and "4" not in covered:
        return sorted(WHOLE - covered - {"4"} | ({"4a", "4b"} - halves))
    return sorted(WHOLE - covered)
