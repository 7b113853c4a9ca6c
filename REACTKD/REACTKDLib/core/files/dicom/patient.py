"""Decides whether two DICOM headers are of the same patient: by the id, else by birth date, sex and name.

Missing values are ignored. Ids are compared within their issuer. Names are compared by their words, without accents and
in any order, since scanners write them differently ("Müller^Eva", "MUELLER, EVA M"), and only within one script.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from REACTKDLib.core.files.dicom.header import day_of_date, raw, text

Verdict = Literal["one", "doubtful", "different"]
TAGS = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientName", "SpecificCharacterSet")
# Placeholders of de-identification, which carry no information.
_PLACEHOLDER = re.compile(r"(anon(ymous|ymi[sz]ed)?|unknown|none|null|n/?a|removed|no[ ^]?name|x+|0+|[\W_]*)", re.I)
_NO_BIRTH_DATES = {"19000101"}


@dataclass(frozen=True, repr=False)
class Patient:
    """The patient that a header states, "" and None for missing values. Never shown, so it has no text form.

    words: of the name, without accents.
    """

    id: str = ""
    issuer: str = ""
    birth_day: int | None = None
    sex: str = ""
    words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, dataset: Any) -> Patient:
        """Read a header."""
        birth, sex = raw(dataset, "PatientBirthDate"), text(dataset, "PatientSex").upper()
        return cls(
            _stated(text(dataset, "PatientID")).casefold(),
            _stated(text(dataset, "IssuerOfPatientID")).casefold(),
            None if str(birth) in _NO_BIRTH_DATES else day_of_date(birth),
            sex if sex in ("M", "F") else "",
            _words(_stated(text(dataset, "PatientName"))),
        )


def compare(a: Patient, b: Patient) -> Verdict:
    """Return whether two headers are of one patient.

    Different ids mean different patients, unless the issuers differ and birth date and name agree. Equal ids mean the
    same patient; doubtful if birth date, sex or name differs, and different if two of the three do. Without two ids, a
    different birth date, sex or name means different patients, and a partly equal name is doubtful.
    """
    same_birth = None in (a.birth_day, b.birth_day) or a.birth_day == b.birth_day
    same_sex = not (a.sex and b.sex) or a.sex == b.sex
    name = _compare_names(a.words, b.words)
    against = [not same_birth, not same_sex, name == "different"].count(True)
    if a.id and b.id:
        if a.issuer and b.issuer and a.issuer != b.issuer:
            known = a.birth_day is not None and b.birth_day is not None and a.words and b.words
            return "one" if known and same_birth and same_sex and name == "one" else "different"
        if a.id != b.id or against > 1:
            return "different"
        return "doubtful" if against else "one"
    if against:
        return "different"
    confirmed = same_birth and None not in (a.birth_day, b.birth_day)
    return "one" if confirmed else name


def _compare_names(a: frozenset[str], b: frozenset[str]) -> Verdict:
    """Return the same patient if one name contains all words of the other; different without a common word; doubtful
    for unlike scripts.
    """
    if not a or not b or a <= b or b <= a:
        return "one"
    if a & b:
        return "doubtful"
    latin = [any(word.isascii() for word in words) for words in (a, b)]
    return "different" if latin[0] == latin[1] else "doubtful"


def _stated(value: str) -> str:
    return "" if _PLACEHOLDER.fullmatch(value) else value


def _words(name: str) -> frozenset[str]:
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    words = (re.sub(r"([aou])e", r"\1", word) for word in re.split(r"[\W_]+", plain))  # ae, oe, ue for an umlaut
    return frozenset(word for word in words if len(word) > 1 or (word and not "a" <= word <= "z"))  # without initials
