"""A finding: one sentence about a case that the reader should know and that does not stop the work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from REACTKDLib.core.text import Text, packed, sentence, text_from

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One remark on a case; like an error, it consists of a template and its values.

        Finding("pet-not-suv", "info", _("{image} is in Bq/ml, so no SUV is reported."), image=ROLES[modality])

    code: stable, kebab-case. message: one plain sentence, a `Text` if it has a template. location_ras: the position to
    look at, mm RAS, or None.
    """

    code: str
    severity: Severity
    message: str
    location_ras: tuple[float, float, float] | None = None

    def __init__(
        self,
        code: str,
        severity: Severity,
        message: str,
        location_ras: tuple[float, float, float] | None = None,
        **values: Any,
    ) -> None:
        """message: the sentence, with a placeholder in braces for each of `values`; with values, its first letter is
        capitalized.
        """
        message = sentence(message.format(**values)) if values else message
        for field, value in zip(fields(self), (code, severity, message, location_ras)):
            object.__setattr__(self, field.name, value)

    def to_dict(self) -> dict:
        """Return the JSON form used in reports and by `check`."""
        entry = {"code": self.code, "severity": self.severity, "message": self.message}
        if self.location_ras is not None:
            entry["location_ras_mm"] = [round(float(x), 2) for x in self.location_ras]
        return entry


def to_entry(finding: Finding) -> dict:
    """Return the JSON form for files that the panel reads back, with template and values of the message as "text"."""
    entry = finding.to_dict()
    return entry | {"text": packed(finding.message)} if isinstance(finding.message, Text) else entry


def finding_from(entry: Mapping[str, Any]) -> Finding:
    """Return the finding from its JSON form, as written by `Finding.to_dict` or `to_entry`."""
    location, message = entry.get("location_ras_mm"), text_from(entry.get("text"), entry["message"])
    return Finding(entry["code"], entry["severity"], message, None if location is None else tuple(location))


def merged(first: Iterable[Finding], then: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return `first` followed by the new findings of `then`: of two with the same code and location, the first is
    kept.
    """
    first = tuple(first)
    known = {(finding.code, finding.location_ras) for finding in first}
    return (*first, *(f for f in then if (f.code, f.location_ras) not in known))
