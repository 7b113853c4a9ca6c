"""Recognition of the liver and tumor segments: by terminology code, then by name, or as the user states.

For another task, "liver" stands for its organ and "tumor" for its lesions, with the codes and words that it states.

A wrong guess would give a wrong grade without any sign. Ambiguous names are therefore an error, which lists the
segments. `segment_names` reads names; `liver_parts` handles a liver drawn in parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from REACTKDLib.core.errors import AmbiguousSegment, EmptySegmentation, LabelMissing, NoLiver
from REACTKDLib.core.files.liver_parts import (
    SEGMENT_OF_CODE,
    Code,
    LiverPart,
    missing_segments,
    part_codes,
    part_of_liver,
)
from REACTKDLib.core.files.name_words import Kind
from REACTKDLib.core.files.segment_names import SegmentName, drawn_twice, recognize_name
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.task_parts import COUINAUD
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

__all__ = ["Candidate", "Choice", "Code", "CodeVerdict", "Kind", "choose", "recognize_code", "recognize_name"]

#: message of NoLiver if no name or code is that of the organ
NOT_RECOGNIZED = _(
    "No segment is recognized as the {organ} among {segments}; say which one it is ({option} NAME or LABEL on the "
    "command line), or draw it."
)

# SNOMED CT, and the older SNOMED RT codes that archives still contain. Necrosis: part of a lesion, as in HCC-TACE-Seg.
PART_CODES = frozenset({("SCT", "6574001"), ("SRT", "M-54000")})
#: general codes of lesions, in any organ; a task adds its own
TUMOR_CODES = frozenset(
    {
        ("SCT", "4147007"),  # Mass
        ("SCT", "108369006"),  # Neoplasm
        ("SCT", "86049000"),  # Neoplasm, primary
        ("SCT", "372087000"),  # Neoplasm, primary (as DICOM lists it since 2020)
        ("SCT", "14799000"),  # Neoplasm, secondary
        ("SCT", "27925004"),  # Nodule
        ("SCT", "52988006"),  # Lesion
        ("SRT", "M-03000"),  # Mass
        ("SRT", "M-8FFFF"),  # Neoplasm
        ("SRT", "M-80003"),  # Neoplasm, primary
        ("SRT", "M-80006"),  # Neoplasm, secondary
        ("SRT", "M-01100"),  # Lesion
        *PART_CODES,
    }
)
# Codes without specific meaning; a new segment in Slicer is tagged Tissue.
_OPEN_CODES = frozenset(
    {("", ""), ("SCT", "85756007"), ("SRT", "T-D0050"), ("SCT", "123037004"), ("SCT", "49755003"), ("SRT", "M-01000")}
)


@dataclass(frozen=True)
class CodeVerdict:
    """The meaning of a code.

    kind: what it states, or None for something else. says_nothing: the code has no specific meaning.
    """

    kind: Kind | None
    says_nothing: bool


@dataclass(frozen=True)
class Candidate:
    """A segment or label to choose from.

    key: an alternative to `name` for selecting it: its label value. type_code, region_code: (scheme, value), or ("",
    "") if there is none.
    """

    key: str
    name: str
    type_code: Code = ("", "")
    region_code: Code = ("", "")


@dataclass(frozen=True)
class Choice:
    """The indices of the chosen candidates; tumors may be empty.

    guessed: chosen by the convention for label values, which the reader should know.
    """

    livers: tuple[int, ...]
    tumors: tuple[int, ...]
    guessed: bool = False


def recognize_code(type_code: Code, region_code: Code = ("", ""), task: Task = HCC_GRADE) -> CodeVerdict:
    """Return the meaning of a terminology code. A mass in another organ (by its region code) is not a tumor here."""
    if type_code in _OPEN_CODES:
        return CodeVerdict(None, True)
    if type_code in task.organ.keys:
        return CodeVerdict("liver", False)
    inside = region_code in _OPEN_CODES or region_code in task.organ.keys or region_code in part_codes(task)
    if inside and (type_code in TUMOR_CODES or type_code in task.lesion.keys or type_code == task.lesion.finding.key):
        return CodeVerdict("tumor", False)
    return CodeVerdict(None, False)


def choose(
    candidates: Sequence[Candidate],
    liver: Sequence[str] | None,
    tumor: Sequence[str] | None,
    task: Task = HCC_GRADE,
) -> Choice:
    """Return the candidates for liver and tumors, or organ and lesions of another task.

    liver, tumor: names or keys (label values) that the user gave; with None they are chosen by codes, then names; an
    empty `tumor` means that there is none. Unnamed labels, 1 or 1 and 2 only, are read by the convention of LiTS and
    the Medical Segmentation Decathlon: 1 liver, 2 tumor.

    Raises: EmptySegmentation, LabelMissing, NoLiver, AmbiguousSegment.
    """
    if not candidates:
        raise EmptySegmentation(
            _("The segmentation is empty; draw the {organ} and its {lesions}, or choose another file."),
            organ=task.organ.name,
            lesions=task.lesion.many,
        )
    livers = None if liver is None else tuple(i for wanted in liver for i in _find(candidates, wanted))
    tumors = None if tumor is None else tuple(i for wanted in tumor for i in _find(candidates, wanted))
    kinds = [_kind_of(candidate, task) for candidate in candidates]
    by_number = _by_convention(candidates, kinds)
    if by_number is not None:
        _check_convention(candidates, by_number, {"liver": livers, "tumor": tumors}, task)
    guessed = by_number is not None and (livers is None or tumors is None)
    if by_number is not None:
        kinds = by_number
    if tumors is None:
        tumors = [i for i, k in enumerate(kinds) if k == "tumor" and i not in (livers or ())]
        tumors = _all_tumors(candidates, tumors, task)
    if livers is None:
        found = [i for i, kind in enumerate(kinds) if kind == "liver" and i not in tumors]
        livers = _one_liver(candidates, found, _parts_of(candidates, kinds, tumors, task), task)
    return Choice(livers, tumors, guessed)


def one_lesion_each(candidates: Sequence[Candidate], tumors: Iterable[int], task: Task = HCC_GRADE) -> tuple[int, ...]:
    """Return the indices of the tumors whose names denote one whole lesion: see `masks.lesions`."""
    return tuple(i for i in tumors if _is_one_lesion(candidates[i], task))


def _is_one_lesion(candidate: Candidate, task: Task) -> bool:
    return SegmentName(candidate.name, task).is_one_lesion and candidate.type_code not in PART_CODES


def _kind_of(candidate: Candidate, task: Task) -> Kind | None:
    verdict = recognize_code(candidate.type_code, candidate.region_code, task)
    return recognize_name(candidate.name, task) if verdict.says_nothing else verdict.kind


def _by_convention(candidates: Sequence[Candidate], kinds: Sequence[Kind | None]) -> list[Kind | None] | None:
    """Return the kinds of unnamed labels {1} and {1, 2}; None if the labels have names or other values."""
    if any(kinds) or any(candidate.name != _("label {key}").format(key=candidate.key) for candidate in candidates):
        return None
    numbers = {candidate.key for candidate in candidates}
    if "1" not in numbers or not numbers <= {"1", "2"}:
        return None
    return ["liver" if candidate.key == "1" else "tumor" for candidate in candidates]


def _check_convention(
    candidates: Sequence[Candidate],
    kinds: Sequence[Kind | None],
    named: dict[Kind, tuple[int, ...] | None],
    task: Task,
) -> None:
    """Raise AmbiguousSegment if the user states one of two roles by the label value that is usual for the other."""
    for kind, other in (("liver", "tumor"), ("tumor", "liver")):
        given = named[kind]
        if named[other] is None and given is not None and any(kinds[i] == other for i in given):
            text = _(
                "Label {label} was named as the {given}, but is usually the {other}; name the {other} too "
                "({option} NAME or LABEL on the command line)."
            )
            label, option = ", ".join(candidates[i].key for i in given), task.option(other)
            names = [task.structure(role).name for role in (kind, other)]
            raise AmbiguousSegment(text, label=label, given=names[0], other=names[1], option=option)


def _find(candidates: Sequence[Candidate], wanted: str) -> list[int]:
    """Return the candidates that the user means: by exact name, else by key, else by name ignoring case.

    Raises: LabelMissing; AmbiguousSegment, also if the name of one is the key of another.
    """
    wanted = str(wanted).strip()
    refuse_two_meanings(wanted, [c.name for c in candidates], [c.name for c in candidates if c.key == wanted])
    matches = _named(candidates, wanted)
    if len(matches) > 1:
        names = quoted(candidates[i].name for i in matches)
        text = _("'{wanted}' may be any of {names}; rename the segments so that one is meant.")
        raise AmbiguousSegment(text, wanted=wanted, names=names)
    if matches:
        return matches
    if "," in wanted and all(_named(candidates, part.strip()) for part in wanted.split(",")):
        text = _(
            "There is no segment '{wanted}', but there is one for each of these names; write '|' between several names "
            "in a list, and a space on the command line."
        )
        raise LabelMissing(text, wanted=wanted)
    text = _("There is no segment '{wanted}'; the segmentation has {segments}.")
    raise LabelMissing(text, wanted=wanted, segments=_listed(candidates))


def _named(candidates: Sequence[Candidate], wanted: str) -> list[int]:
    """Return the candidates with this name, else with this key, else with this name in other letter case."""
    tests = (
        lambda c: c.name == wanted,
        lambda c: c.key == wanted,
        lambda c: c.name.casefold() == wanted.casefold(),
    )
    found = ([i for i, candidate in enumerate(candidates) if test(candidate)] for test in tests)
    return next(filter(None, found), [])


def refuse_two_meanings(wanted: str, names: Collection[str], numbered: Sequence[str]) -> None:
    """Raise AmbiguousSegment if the wanted name of a segment is the label value of another one.

    names: of all segments. numbered: those with this label value.
    """
    if wanted in names and len(numbered) == 1 and numbered[0] != wanted:
        text = _("'{wanted}' is the name of a segment and the label of '{other}'; rename the one that is called so.")
        raise AmbiguousSegment(text, wanted=wanted, other=numbered[0])


def _all_tumors(candidates: Sequence[Candidate], found: list[int], task: Task) -> tuple[int, ...]:
    """Return the tumors, unless this is ambiguous: two drawings of one tumor, or "Liver-Tumor" alone."""
    names = [candidates[i].name for i in found]
    if drawn_twice(names, task):
        text = _(
            "The segments {segments} may show one {lesion} drawn twice, as by a person and by a "
            "program; say which are to be graded ({option} NAME or LABEL on the command line)."
        )
        option = task.option("tumor")
        raise AmbiguousSegment(text, segments=quoted(names), lesion=task.lesion.name, option=option)
    unclear = [c.name for c in candidates if _is_open(c, task) and SegmentName(c.name, task).is_equivocal]
    if unclear and not found:
        text = _(
            "The segment {kinds} may be the {lesion} of the {organ}, or the {organ} without it or with "
            "it; say which segment is the {lesion} ({option} NAME or LABEL on the command line), or "
            "rename it."
        )
        lesion, option = task.lesion.name, task.option("tumor")
        raise AmbiguousSegment(text, kinds=quoted(unclear), lesion=lesion, organ=task.organ.name, option=option)
    return tuple(found)


def _is_open(candidate: Candidate, task: Task) -> bool:
    return recognize_code(candidate.type_code, candidate.region_code, task).says_nothing


def _parts_of(
    candidates: Sequence[Candidate], kinds: Sequence[Kind | None], tumors: Sequence[int], task: Task
) -> dict[int, LiverPart]:
    """Return the candidates that are parts of the liver by code or name; no other organ is drawn in parts."""
    parts: dict[int, LiverPart] = {}
    if task.organ.parts != COUINAUD:
        return parts
    for i, candidate in enumerate(candidates):
        coded = candidate.type_code in SEGMENT_OF_CODE
        liver = candidate.type_code in task.organ.keys
        if i in tumors or kinds[i] == "tumor" or not (coded or liver or _is_open(candidate, task)):
            continue
        part = part_of_liver(candidate.name, (candidate.type_code, candidate.region_code))
        if part is not None:
            parts[i] = LiverPart(part.covers, part.sure or liver)
    return parts


def _one_liver(
    candidates: Sequence[Candidate], found: list[int], parts: dict[int, LiverPart], task: Task
) -> tuple[int, ...]:
    whole = [i for i in found if i not in parts]
    whole = [i for i in whole if not _is_open(candidates[i], task)] or whole
    if not whole:
        return _of_parts(candidates, parts, task)
    if len(whole) == 1:
        return tuple(whole)
    exact = [i for i in whole if SegmentName(candidates[i].name, task).words == (task.organ.name.replace(" ", ""),)]
    if len(exact) == 1:
        return tuple(exact)
    text = _(
        "The segments {segments} all look like the {organ}; say which one it is ({option} NAME or "
        "LABEL on the command line)."
    )
    segments = quoted(candidates[i].name for i in whole)
    raise AmbiguousSegment(text, segments=segments, organ=task.organ.name, option=task.option("liver"))


def _of_parts(candidates: Sequence[Candidate], parts: dict[int, LiverPart], task: Task) -> tuple[int, ...]:
    """Return the parts if together they are the whole liver, never fewer."""
    sure = {i: part for i, part in parts.items() if part.sure}
    for some in (sure, parts):
        if some and not missing_segments(some.values()):
            return tuple(some)
    if not sure:
        option = task.option("liver")
        raise NoLiver(NOT_RECOGNIZED, segments=_listed(candidates), organ=task.organ.name, option=option)
    missing = ", ".join(missing_segments(sure.values()))
    text = _(
        "The {organ} is drawn in parts, {segments}, without the segments {missing}; draw these "
        "or the whole {organ}, or name all parts that there are ({option} on the command line)."
    )
    named, option = quoted(candidates[i].name for i in sure), task.option("liver")
    raise NoLiver(text, segments=named, missing=missing, organ=task.organ.name, option=option)


def _listed(candidates: Sequence[Candidate]) -> str:
    return quoted(candidate.name for candidate in candidates)
