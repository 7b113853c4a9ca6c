"""Assignment of files to cases and images by patterns such as '{case}/CT_*.nii.gz'."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from REACTKDLib.core.cases.column_names import names_of
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.image_names import modality_of_name
from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.text import quoted

ROLES = (*MODALITIES, "segmentation", "liver", "tumor")
_MASK_WORDS = {
    "segmentation": ("seg", "segmentation", "label", "labels", "mask"),
    "liver": ("liver",),
    "tumor": ("tumor",),
}
_PIECES = re.compile(r"\{case\}|\{patient\}|\*\*/|\*|\?|[^{}*?]+|[{}]")


@dataclass(frozen=True)
class FilePattern:
    """role: one of `ROLES`. text: pattern of paths below the folder; '*' and '?' match within a name, '**/' any
    folders.

    Example:
        >>> FilePattern.from_text("{case}_ct_*.nii.gz").role
        'ct'
    """

    role: str
    text: str

    @classmethod
    def from_text(cls, text: str) -> FilePattern:
        """Read 'fdg={case}/PET.nii.gz', or a pattern whose own name states the role. Raises: UsageError."""
        role, equals, rest = text.partition("=")
        role = names_of().get(role, role)
        if equals and role in ROLES:
            found = cls(role, rest)
        elif equals and re.fullmatch(r"\w+", role):
            raise UsageError(f"{quoted([role])} is no kind of file; it is one of {', '.join(ROLES)}.")
        else:
            found = cls(_role_of(text), text)
        if "{case}" not in found.text or re.search(r"[{}]", re.sub(r"\{case\}|\{patient\}", "", found.text)):
            raise UsageError(
                f"The pattern {quoted([found.text])} does not say which part is the case; write {{case}} there, and "
                "{patient} where a patient has several."
            )
        return found

    def match(self, path: str) -> tuple[str, str] | None:
        """Return the case and the patient ('' if the pattern has none) of a path, or None if it does not match.

        Raises: UsageError for an ambiguous match.
        """
        short, long = (re.fullmatch(self._regex(few), path) for few in ("+?", "+"))
        if short is None or long is None:
            return None
        if short.groupdict() != long.groupdict():
            both = quoted([short["case"], long["case"]])
            raise UsageError(f"By the pattern {quoted([self.text])} one file is of case {both}; make it more exact.")
        return short["case"], short.groupdict().get("patient") or ""

    def _regex(self, few: str) -> str:
        out, seen = "", set()
        for piece in _PIECES.findall(self.text):
            name = piece.strip("{}")
            if piece in ("{case}", "{patient}"):
                out += f"(?P={name})" if name in seen else f"(?P<{name}>[^/]{few})"
                seen.add(name)
            else:
                out += {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
        return out


@dataclass(frozen=True)
class Found:
    """files: case -> role -> paths, several if ambiguous. patients: of each case. other: files without a match."""

    files: dict[str, dict[str, list[Path]]]
    patients: dict[str, set[str]]
    other: list[str]


def find_files(folder: Path, patterns: Sequence[FilePattern]) -> Found:
    """Match all files and folders (DICOM series) below `folder`. Raises: UsageError."""
    files: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    patients: dict[str, set[str]] = defaultdict(set)
    other, taken = [], set()
    for path in _below(folder):
        name = path.relative_to(folder).as_posix()
        fits = [(pattern.role, found) for pattern in patterns if (found := pattern.match(name)) is not None]
        meant = {(role, case) for role, (case, _) in fits}
        if len(meant) > 1:
            roles = {role for role, _ in meant}
            words = roles if len(roles) > 1 else {f"{role} of {quoted([case])}" for role, case in meant}
            raise UsageError(f"Two patterns fit one file: as {' and as '.join(sorted(words))}; make them more exact.")
        for role, (case, patient) in fits[:1]:
            files[case][role].append(path)
            patients[case] |= {patient} - {""}
            taken.add(path)
        if not fits and path.is_file() and not taken & set(path.parents):
            other.append(name)
    return Found({case: dict(roles) for case, roles in sorted(files.items())}, patients, other)


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _role_of(text: str) -> str:
    """Return the role that the fixed part of a pattern states. Raises: UsageError if it states none, or two."""
    fixed = re.sub(r"\{case\}|\{patient\}|[*?]", " ", text)
    words = set(re.findall(r"[a-z]+", fixed.lower()))
    found = {role for role, names in _MASK_WORDS.items() if words & set(names)}
    if not found and (modality := modality_of_name(fixed)) is not None:
        found = {modality.value}
    if len(found) != 1:
        raise UsageError(
            f"The pattern {quoted([text])} does not say what its files are; write one of {', '.join(ROLES)} and '=' "
            "before it, as in fdg={case}/PET.nii.gz."
        )
    return found.pop()
