"""Which segments show the liver and which the tumors: by terminology code, then by name, then by the user's word.

A wrong guess here is a wrong grade without any sign, so names are read narrowly: a name that says anything beyond liver
or tumor ("liver vessels", "kidney tumor", "peritumoral rim") is not recognized, and the error lists what is there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from REACTKDLib.core.errors import AmbiguousSegment, EmptySegmentation, LabelMissing, NoLiver
from REACTKDLib.core.text import quoted

Kind = Literal["liver", "tumor"]
Code = tuple[str, str]  # (scheme, value), as ("SCT", "10200004")

LIVER_CODE: Code = ("SCT", "10200004")
MASS_CODE: Code = ("SCT", "4147007")
# SNOMED CT, and the older SNOMED RT codes that archives still hold.
LIVER_CODES = frozenset({LIVER_CODE, ("SRT", "T-62000")})
TUMOR_CODES = frozenset(
    {
        MASS_CODE,
        ("SCT", "108369006"),  # Neoplasm
        ("SCT", "86049000"),  # Neoplasm, primary
        ("SCT", "372087000"),  # Neoplasm, primary (as DICOM lists it since 2020)
        ("SCT", "14799000"),  # Neoplasm, secondary
        ("SCT", "27925004"),  # Nodule
        ("SCT", "52988006"),  # Lesion
        ("SCT", "25370001"),  # Hepatocellular carcinoma
        ("SCT", "109841003"),  # Liver cell carcinoma
        ("SCT", "6574001"),  # Necrosis: part of a lesion, as in HCC-TACE-Seg
        ("SRT", "M-54000"),  # Necrosis
        ("SRT", "M-03000"),  # Mass
        ("SRT", "M-8FFFF"),  # Neoplasm
        ("SRT", "M-80003"),  # Neoplasm, primary
        ("SRT", "M-80006"),  # Neoplasm, secondary
        ("SRT", "M-01100"),  # Lesion
    }
)
# Codes that only say that there is something; a new segment in Slicer is tagged Tissue.
_OPEN_CODES = frozenset(
    {("", ""), ("SCT", "85756007"), ("SRT", "T-D0050"), ("SCT", "123037004"), ("SCT", "49755003"), ("SRT", "M-01000")}
)

_TUMOR_WORD = re.compile(
    r"(tumou?r(s|al|ous)?|lesions?|mass(es)?|hccs?|neoplas(m|ms|ia|tic)|carcinomas?|hepatomas?|cancers?|"
    r"metastas[ei]s|metastatic|mets|nodules?|malignan(t|cy)|gtv|necrosis|necrotic)"
)
_LIVER_WORD = re.compile(r"(livers?|hepar|hepatis)")
# What may stand beside the word itself without changing what is meant.
_NEUTRAL = re.compile(
    r"(\d+|[a-z]|the|of|in|and|whole|entire|total|full|all|organ|tissue|parenchyma(l)?|hepatic|hepatocellular|normal|"
    r"healthy|background|mask|masks|label|labels|labelmap|seg|segm|segment|segmentation|roi|voi|contour|structure|ct|"
    r"pet|fdg|acetate|act|mr|mri|venous|arterial|phase|baseline|pre|post|tace|final|manual|auto|edited|corrected|"
    r"revised|expert|copy|version|ver|new|main|primary|secondary|satellite|index|target|small|large|big|left|right|"
    r"lobe|lobes|core|viable|enhancing|solid|recurrent|well|moderately|poorly|differentiated|nnunet|totalsegmentator|"
    r"monai|reader|rater|observer)"
)
_PART_OF_LIVER = re.compile(r"\b(lobes?|segments? \d|left|right)\b")
_WITHOUT_TUMOR = re.compile(
    r"\b(minus|without|excluding|excl|except|not|no|non)\b (the )?(?P<what>tumou?rs?|lesions?|mass|masses|hcc)\b"
)


@dataclass(frozen=True)
class CodeVerdict:
    """kind: what a code says, or None for something else. says_nothing: the code leaves it open."""

    kind: Kind | None
    says_nothing: bool


@dataclass(frozen=True)
class Candidate:
    """A segment or label to choose from.

    key: what the user may call it by, besides `name`: its label number. type_code, region_code: (scheme, value), or
    ("", "") when there is none.
    """

    key: str
    name: str
    type_code: Code = ("", "")
    region_code: Code = ("", "")


@dataclass(frozen=True)
class Choice:
    """The indices of the chosen candidates; tumors may be empty.

    guessed: chosen by the convention of label numbers, which the reader should be told.
    """

    livers: tuple[int, ...]
    tumors: tuple[int, ...]
    guessed: bool = False


def recognize_code(type_code: Code, region_code: Code = ("", "")) -> CodeVerdict:
    """Return what a terminology code says. A mass in another organ (by its region code) is no tumor here."""
    if type_code in _OPEN_CODES:
        return CodeVerdict(None, True)
    if type_code in LIVER_CODES:
        return CodeVerdict("liver", False)
    if type_code in TUMOR_CODES and (region_code in _OPEN_CODES or region_code in LIVER_CODES):
        return CodeVerdict("tumor", False)
    return CodeVerdict(None, False)


def recognize_name(name: str) -> Kind | None:
    """Return what a segment of this name shows, or None when the name does not say or says something else.

    "Liver", "whole_liver", "hepatic parenchyma" and "liver minus tumor" are the liver; "tumour", "Lesion_1", "HCC",
    "liver tumor" and "necrosis" (part of a lesion) are tumors; "liver vessels" and "kidney tumor" are neither.
    """
    words = _words(name)
    without = _WITHOUT_TUMOR.search(words)
    if without:
        words = words.replace(without.group(0), " ").strip()
    words = words.replace("portal venous phase", " ")
    tumor = liver = False
    for word in words.split():
        if _TUMOR_WORD.fullmatch(word):
            tumor = True
        elif _LIVER_WORD.fullmatch(word):
            liver = True
        elif not _NEUTRAL.fullmatch(word):
            return None
    if tumor:
        return None if without else "tumor"
    if liver or {"hepatic", "parenchyma"} <= set(words.split()) or words in ("parenchyma", "parenchymal"):
        return "liver"
    return None


def choose(candidates: Sequence[Candidate], liver: Sequence[str] | None, tumor: Sequence[str] | None) -> Choice:
    """Return which candidates are the liver and the tumors.

    liver, tumor: names or keys (label numbers) that the user gave; None leaves the choice to codes, then names; an
    empty `tumor` says that there is none. Labels without names, 1 or 1 and 2 only, are read as LiTS and the Medical
    Segmentation Decathlon write them: 1 liver, 2 tumor.

    Raises: EmptySegmentation, LabelMissing, NoLiver, AmbiguousSegment.
    """
    if not candidates:
        raise EmptySegmentation("The segmentation is empty; draw the liver and its tumors, or choose another file.")
    livers = None if liver is None else tuple(i for wanted in liver for i in _find(candidates, wanted))
    tumors = None if tumor is None else tuple(i for wanted in tumor for i in _find(candidates, wanted))
    kinds = [_kind_of(candidate) for candidate in candidates]
    by_number = _by_convention(candidates, kinds)
    guessed = by_number is not None and (livers is None or tumors is None)
    if by_number is not None:
        kinds = by_number
    if tumors is None:
        tumors = tuple(i for i, kind in enumerate(kinds) if kind == "tumor" and i not in (livers or ()))
    if livers is None:
        found = [i for i, kind in enumerate(kinds) if kind == "liver" and i not in tumors]
        coded = [i for i in found if recognize_code(candidates[i].type_code, candidates[i].region_code).kind]
        livers = _one_liver(candidates, coded or found)
    return Choice(livers, tumors, guessed)


def _words(name: str) -> str:
    """Lower-case ASCII words: camel case, digits, accents and separators taken apart."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", text)
    return " ".join(re.findall(r"[a-z]+|\d+", text))


def _kind_of(candidate: Candidate) -> Kind | None:
    verdict = recognize_code(candidate.type_code, candidate.region_code)
    return recognize_name(candidate.name) if verdict.says_nothing else verdict.kind


def _by_convention(candidates: Sequence[Candidate], kinds: Sequence[Kind | None]) -> list[Kind | None] | None:
    """Return kinds for nameless labels {1} and {1, 2}; None when the labels have names or other numbers."""
    if any(kinds) or any(candidate.name != f"label {candidate.key}" for candidate in candidates):
        return None
    numbers = {candidate.key for candidate in candidates}
    if "1" not in numbers or not numbers <= {"1", "2"}:
        return None
    return ["liver" if candidate.key == "1" else "tumor" for candidate in candidates]


def _find(candidates: Sequence[Candidate], wanted: str) -> list[int]:
    """Return the candidates that the user means: by exact name, else by key, else by name in any case."""
    wanted = str(wanted).strip()
    tests = (
        lambda c: c.name == wanted,
        lambda c: c.key == wanted,
        lambda c: c.name.casefold() == wanted.casefold(),
    )
    for test in tests:
        matches = [i for i, candidate in enumerate(candidates) if test(candidate)]
        if len(matches) > 1:
            names = quoted(candidates[i].name for i in matches)
            raise AmbiguousSegment(f"'{wanted}' may be any of {names}; rename the segments so that one is meant.")
        if matches:
            return matches
    raise LabelMissing(f"There is no segment '{wanted}'; the segmentation has {_listed(candidates)}.")


def _one_liver(candidates: Sequence[Candidate], found: list[int]) -> tuple[int, ...]:
    whole = [i for i in found if not _is_part(candidates[i].name)]
    if not found or (len(found) == 1 and not whole):
        raise NoLiver(
            f"No segment is recognized as the liver among {_listed(candidates)}; "
            "say which one it is (--liver NAME or LABEL on the command line), or draw it."
        )
    if len(whole) == 1:
        return tuple(whole)
    if not whole:  # both lobes, or the segments, and nothing else: together they are the liver
        return tuple(found)
    exact = [i for i in whole if _words(candidates[i].name) == "liver"]
    if len(exact) == 1:
        return tuple(exact)
    raise AmbiguousSegment(
        f"The segments {quoted(candidates[i].name for i in whole)} all look like the liver; "
        "say which one it is (--liver NAME or LABEL on the command line)."
    )


def _is_part(name: str) -> bool:
    """True for a lobe or a segment of the liver, not for Slicer's "Segment_1" that a code calls the liver."""
    words = _words(name)
    return recognize_name(name) == "liver" and _PART_OF_LIVER.search(words) is not None


def _listed(candidates: Sequence[Candidate]) -> str:
    return quoted(candidate.name for candidate in candidates)
