"""A finding: something about a case that the reader should know, in one sentence, without stopping the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One remark on a case.

    code: stable, kebab-case. message: one plain sentence. location_ras: where to look, mm RAS, or None.
    """

    code: str
    severity: Severity
    message: str
    location_ras: tuple[float, float, float] | None = None

    def to_dict(self) -> dict:
        """Return the JSON form used in reports and by `check`."""
        entry = {"code": self.code, "severity": self.severity, "message": self.message}
        if self.location_ras is not None:
            entry["location_ras_mm"] = [round(float(x), 2) for x in self.location_ras]
        return entry
