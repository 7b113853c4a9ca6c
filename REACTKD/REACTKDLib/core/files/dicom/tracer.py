"""Recognition of a PET's tracer: by code, by half-life, by text, in this order; contradictions are not resolved by
guessing.

Codes: DICOM PS3.16 CID 4020 (radionuclides) and CID 4021 (radiopharmaceuticals).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from REACTKDLib.core.files.dicom.header import code_of, items, number, text
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.text import all_of
from REACTKDLib.core.text import tr as _

Basis = Literal["code", "half-life", "text", "nothing"]
#: s, 109.77 min and 20.36 min
HALF_LIVES = {"18F": 6586.2, "11C": 1221.8}
TOLERANCE = 0.02  # fraction of the half-life
NUCLIDE_CODES = {
    ("SCT", "77004003"): "18F",
    ("SRT", "C-111A1"): "18F",
    ("SCT", "40565003"): "11C",
    ("SRT", "C-105A1"): "11C",
}
TRACER_CODES = {
    ("SCT", "35321007"): Modality.FDG,
    ("SRT", "C-B1031"): Modality.FDG,
    ("SCT", "129513004"): Modality.ACETATE,
    ("SRT", "C-B1043"): Modality.ACETATE,
}
NUCLIDE_OF = {Modality.FDG: "18F", Modality.ACETATE: "11C"}
_STANDARD = {"SCT", "SRT", "SNM3", "UMLS", "NCIT", "DCM"}
_FDG = re.compile(r"fdg(?!al)|fluor\w*[ -]?d(es|e)?oxy[ -]?(d-)?glucose|fludeoxyglucose", re.I)
_ACETATE = re.compile(r"acetate|\bacet\b|\bc-?11-?ac\b|\b11c-?ac\b", re.I)
_OTHER = re.compile(
    r"choline|methionine|psma|dota|fluoride|\bnaf\b|\bflt\b|thymidine|dopa|ammonia|water|rubidium|amyloid|florbet|"
    r"flutemetamol|fapi|fes\b|estradiol|\bpib\b|palmitate|raclopride|fluciclovine|\bfet\b|miso|galactose|fdgal|dcfpyl|"
    r"pylarify|axumin|facbc|cerianna|flurpiridaz",
    re.I,
)


@dataclass(frozen=True)
class Tracer:
    """A recognized tracer.

    modality: FDG, ACETATE, or None. nuclide: '18F', '11C' or None. name: for display. basis: how it was recognized.
    """

    modality: Modality | None
    nuclide: str | None
    name: str
    basis: Basis


def recognize_tracer(dataset: Any) -> Tracer:
    """Return the tracer that the header of one PET image states; none if it states different ones. Never raises."""
    injected = items(dataset, "RadiopharmaceuticalInformationSequence")
    if not injected:
        return _by_text(text(dataset, "SeriesDescription"), None)
    found = [_of_injection(dataset, info) for info in injected]
    if len({(tracer.modality, tracer.nuclide) for tracer in found}) > 1:
        names = dict.fromkeys(tracer.name for tracer in found)
        return Tracer(None, None, _("{tracers} in several injections").format(tracers=all_of(names)), "nothing")
    return found[0]


def _of_injection(dataset: Any, info: Any) -> Tracer:
    drug = code_of(info, "RadiopharmaceuticalCodeSequence")
    nuclide_code = code_of(info, "RadionuclideCodeSequence")
    by_half_life = nuclide_of_half_life(number(info, "RadionuclideHalfLife"))
    nuclide = _nuclide_by_code(nuclide_code) or by_half_life
    if by_half_life and nuclide != by_half_life:
        contrary = _("{nuclide} by code and {by_half_life} by half-life")
        return Tracer(None, None, contrary.format(nuclide=nuclide, by_half_life=by_half_life), "nothing")
    coded = TRACER_CODES.get(_key(drug))
    if coded:
        if nuclide and nuclide != NUCLIDE_OF[coded]:
            contrary = _("{tracer} with the half-life or code of {nuclide}")
            return Tracer(None, nuclide, contrary.format(tracer=_named(coded), nuclide=nuclide), "nothing")
        return Tracer(coded, NUCLIDE_OF[coded], _named(coded), "code")
    if drug[0].upper() in _STANDARD and drug[1]:
        return Tracer(None, nuclide, drug[2] or drug[1], "code")
    wording = " ".join((drug[2], text(info, "Radiopharmaceutical")))
    return _by_text(wording if wording.strip() else text(dataset, "SeriesDescription"), nuclide)


def nuclide_of_code(info: Any) -> str | None:
    """Return '18F' or '11C' by the code or words of the radionuclide in one injection's item, else None."""
    return _nuclide_by_code(code_of(info, "RadionuclideCodeSequence"))


def nuclide_of_drug(info: Any) -> str | None:
    """Return '18F' or '11C' by the code of the drug in one injection's item, else None."""
    return NUCLIDE_OF.get(TRACER_CODES.get(_key(code_of(info, "RadiopharmaceuticalCodeSequence"))))


def _nuclide_by_code(code: tuple[str, str, str]) -> str | None:
    return NUCLIDE_CODES.get(_key(code)) or _nuclide_of_text(code[2])


def nuclide_of_half_life(seconds: float | None) -> str | None:
    """Return '18F' or '11C' for a half-life within 2 % of theirs, else None."""
    return next((n for n, s in HALF_LIVES.items() if seconds and abs(seconds / s - 1) <= TOLERANCE), None)


def _by_text(wording: str, nuclide: str | None) -> Tracer:
    said = {m for m, pattern in ((Modality.FDG, _FDG), (Modality.ACETATE, _ACETATE)) if pattern.search(wording)}
    if _OTHER.search(wording) or len(said) == 2:
        return Tracer(None, nuclide, " ".join(wording.split()), "text")
    by_nuclide = next((m for m, n in NUCLIDE_OF.items() if n == nuclide), None)
    if said and by_nuclide and said != {by_nuclide}:
        contrary = _("{tracer} by text and {nuclide} by code or half-life")
        return Tracer(None, nuclide, contrary.format(tracer=_named(said.pop()), nuclide=nuclide), "nothing")
    if by_nuclide:
        return Tracer(by_nuclide, nuclide, _named(by_nuclide), "text" if said else "half-life")
    if said:
        modality = said.pop()
        return Tracer(modality, None, _named(modality), "text")
    return Tracer(None, nuclide, "unknown", "nothing")


def _key(code: tuple[str, str, str]) -> tuple[str, str]:
    """(scheme, value); old names of SNOMED RT, and its values under a vendor's scheme, become SRT."""
    scheme = code[0].upper()
    old = scheme in ("SNM3", "99SDM", "SRT") and code[1].upper().startswith("C-")
    return ("SRT" if old else scheme), code[1].upper()


def _nuclide_of_text(meaning: str) -> str | None:
    wording = re.sub(r"[\s^-]", "", meaning).upper()
    if wording in ("18F", "F18", "FLUORINE18", "18FLUORINE", "18FISOTOPE"):
        return "18F"
    return "11C" if wording in ("11C", "C11", "CARBON11", "11CARBON", "11CISOTOPE") else None


def _named(modality: Modality) -> str:
    return "FDG" if modality is Modality.FDG else "11C-acetate"
