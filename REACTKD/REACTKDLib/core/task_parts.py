"""The parts of a task: an organ, its lesions, the classes of a case, and the codes of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from REACTKDLib.core.bounds import check_number
from REACTKDLib.core.text import shown

PRIVATE = "99REACTKD"
LONGEST = 64  # of a name or the meaning of a code: DICOM's long strings (LO)
SHORT_STRING = 16  # of the value of a code: DICOM's short strings (SH)
COUINAUD = "couinaud"
_WORD = re.compile(r"[a-z]+( [a-z]+)*")
Range = tuple[float, float]


def private_value(kind: str, name: str) -> str:
    """Return the value of a private code, unique to the name and at most 16 characters long (DICOM SH).

    Longer names are truncated and end in a hash of the whole name, so that "grade group 1" and "grade group 2" differ.
    """
    value = f"{kind}-{name}".upper().replace(" ", "-")
    if len(value) <= SHORT_STRING:
        return value
    return f"{value[: SHORT_STRING - 7]}-{hashlib.sha256(value.encode()).hexdigest()[:6].upper()}"


class Code(NamedTuple):
    """A DICOM coded concept: its value, its coding scheme ('SCT' for SNOMED CT) and its meaning."""

    value: str
    scheme: str
    meaning: str

    @property
    def key(self) -> tuple[str, str]:
        """(scheme, value), the form used for segments."""
        return self.scheme, self.value

    @classmethod
    def private(cls, kind: str, name: str) -> Code:
        """Return a code of the private scheme 99REACTKD, for a concept for which the task states no standard code."""
        return cls(private_value(kind, name), PRIVATE, name[:LONGEST])

    @classmethod
    def read(cls, value: Any, where: str) -> Code:
        """Return the code of a dict with "value", "scheme" and "meaning". Raises: ValueError."""
        if not isinstance(value, Mapping) or set(value) != set(cls._fields):
            raise ValueError(f"{where} must be an object with value, scheme and meaning")
        longest = {"value": SHORT_STRING, "scheme": SHORT_STRING, "meaning": LONGEST}
        return cls(*(text_of(value, key, where, longest=longest[key]) for key in cls._fields))


@dataclass(frozen=True)
class Structure:
    """An annotated structure: an organ or its lesions.

    name: in a sentence, lower case, singular: "liver". one, many: "a liver", "livers". title: of its segment, "Liver".
    code: of its segment in DICOM. codes: further (scheme, value) pairs by which a segment is recognized. synonyms:
    other words in segment names for one such structure. beside: words that may accompany these in a segment name
    without changing its meaning ("hepatic").
    """

    name: str
    code: Code
    one: str
    many: str
    title: str
    codes: tuple[tuple[str, str], ...] = ()
    synonyms: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        """(scheme, value) of every code for this structure."""
        return frozenset({self.code.key, *self.codes})

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without fields that are not stated."""
        out: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in ((), None, "", False):
                out[field.name] = _plain(value)
        if self.codes:
            out["codes"] = [{"scheme": scheme, "value": value} for scheme, value in self.codes]
        return out

    @classmethod
    def read(cls, value: Any, where: str) -> Any:
        """Return the structure of a dict from `to_dict` or a task file; only the name is required.

        Raises: ValueError.
        """
        known_keys(value, {field.name for field in fields(cls)}, where)
        name = text_of(value, "name", where)
        if not _WORD.fullmatch(name):
            raise ValueError(f"{where}.name must be words of lower-case letters, as in 'kidney', not '{shown(name)}'")
        article = "an" if name[0] in "aeiou" else "a"
        usual = {
            "one": f"{article} {name}",
            "many": f"{name}es" if re.search("(s|x|ch|sh)$", name) else f"{name}s",
            "title": name[:1].upper() + name[1:],
        }
        code = Code.read(value["code"], f"{where}.code") if "code" in value else Code.private(where, name)
        made = {key: text_of(value, key, where) if key in value else words for key, words in usual.items()}
        for key in ("synonyms", "beside"):
            made[key] = tuple(texts_of(value, key, where))
            if not all(map(_WORD.fullmatch, made[key])):
                raise ValueError(f"{where}.{key} must be words of lower-case letters")
        codes = value.get("codes", [])
        if not isinstance(codes, (list, tuple)):
            raise ValueError(f"{where}.codes must be a list of objects with scheme and value")
        codes = tuple(_key_of(entry, f"{where}.codes") for entry in codes)
        return cls(name, code, **made, codes=codes, **cls._more(value, where))

    @classmethod
    def _more(cls, value: Mapping[str, Any], where: str) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Organ(Structure):
    """The organ. volume_ml, hu: plausible ranges (least, most) of its volume and of its CT in HU; None: no check.

    usual_hu: the usual CT values as text, for messages. more_acetate: True if the organ takes up clearly more acetate
    than FDG, which allows swapped PETs to be detected. side: 'right' or 'left' of the patient, for an organ that lies
    on one side. smallest_ml: smaller masks are refused. parts: 'couinaud' for an organ that may be drawn as Couinaud
    segments.
    """

    volume_ml: Range | None = None
    hu: Range | None = None
    usual_hu: Range | None = None
    side: str | None = None
    smallest_ml: float = 1.0
    parts: str = ""
    more_acetate: bool = False

    @classmethod
    def _more(cls, value: Mapping[str, Any], where: str) -> dict[str, Any]:
        limits = {"volume_ml": (0.0, 20_000.0), "hu": (-1100.0, 4000.0), "usual_hu": (-1100.0, 4000.0)}
        made: dict[str, Any] = {key: _range_of(value, key, where, limit) for key, limit in limits.items()}
        smallest = value.get("smallest_ml", cls.smallest_ml)
        check_number(f"{where}.smallest_ml", smallest, 0.001, 20_000.0)
        for key, allowed in (("side", (None, "left", "right")), ("parts", ("", COUINAUD))):
            made[key] = value.get(key, allowed[0])
            if made[key] not in allowed:
                raise ValueError(f"{where}.{key} must be one of {', '.join(filter(None, allowed))}")
        if not isinstance(value.get("more_acetate", False), bool):
            raise ValueError(f"{where}.more_acetate must be true or false")
        return {**made, "smallest_ml": float(smallest), "more_acetate": value.get("more_acetate", False)}


@dataclass(frozen=True)
class Lesion(Structure):
    """The lesions in the organ. disease: the code of the disease that is graded; by default, that of the segment."""

    disease: Code | None = None

    @property
    def finding(self) -> Code:
        """The code of the finding in a structured report."""
        return self.disease or self.code

    @classmethod
    def _more(cls, value: Mapping[str, Any], where: str) -> dict[str, Any]:
        return {"disease": Code.read(value["disease"], f"{where}.disease") if "disease" in value else None}


@dataclass(frozen=True)
class TaskClass:
    """One of the classes that a case can have.

    name: in files and sentences, "well". title: "Well differentiated". short: "Well". code: in DICOM. synonyms: other
    names for it in lists of cases, lower case.
    """

    name: str
    code: Code
    title: str
    short: str
    synonyms: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        out = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return out if self.synonyms else {key: value for key, value in out.items() if key != "synonyms"}

    @classmethod
    def read(cls, value: Any, where: str) -> TaskClass:
        """Return the class of a name, or of a dict from `to_dict`. Raises: ValueError."""
        value = {"name": value} if isinstance(value, str) else value
        known_keys(value, {field.name for field in fields(cls)}, where)
        name = text_of(value, "name", where, longest=32)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9 _-]*", name):
            raise ValueError(
                f"{where}.name must begin with a letter and hold letters, digits, spaces, '-' and '_' only"
            )
        code = Code.read(value["code"], f"{where}.code") if "code" in value else Code.private("class", name)
        raised = name[:1].upper() + name[1:]
        title, short = (text_of(value, key, where) if key in value else raised for key in ("title", "short"))
        return cls(name, code, title, short, tuple(word.lower() for word in texts_of(value, "synonyms", where)))


def known_keys(value: Any, known: set[str], where: str) -> None:
    """Raise ValueError unless `value` is an object whose keys are all known."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object")
    unknown = sorted(set(map(str, value)) - known)
    if unknown:
        raise ValueError(f"{where} has the key '{shown(unknown[0])}', which is not known")


def text_of(value: Mapping[str, Any], key: str, where: str, longest: int = LONGEST) -> str:
    """Return a non-blank text. Raises: ValueError that names the key."""
    text = value.get(key)
    if not isinstance(text, str) or not text.strip() or len(text) > longest or not text.isprintable():
        raise ValueError(f"{where}.{key} must be a text of at most {longest} characters")
    return text


def texts_of(value: Mapping[str, Any], key: str, where: str) -> Sequence[str]:
    """Return a list of texts, empty if the key is missing. Raises: ValueError that names the key."""
    texts = value.get(key, ())
    if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) and 0 < len(t) <= LONGEST for t in texts):
        raise ValueError(f"{where}.{key} must be a list of texts of at most {LONGEST} characters")
    return texts


def _range_of(value: Mapping[str, Any], key: str, where: str, limits: Range) -> Range | None:
    found = value.get(key)
    if found is None:
        return None
    if not isinstance(found, (list, tuple)) or len(found) != 2:
        raise ValueError(f"{where}.{key} must be two numbers, the least and the most")
    for number in found:
        check_number(f"{where}.{key}", number, *limits)
    if found[0] >= found[1]:
        raise ValueError(f"{where}.{key} must begin with the smaller number")
    return float(found[0]), float(found[1])


def _key_of(entry: Any, where: str) -> tuple[str, str]:
    known_keys(entry, {"scheme", "value", "meaning"}, where)
    return text_of(entry, "scheme", where), text_of(entry, "value", where)


def _plain(value: Any) -> Any:
    """Return the JSON form of a field: codes as dicts, tuples as lists, `Text` as plain strings."""
    if isinstance(value, Code):
        return {key: str.__str__(part) for key, part in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return str.__str__(value) if isinstance(value, str) else value
