"""The images and combinations of images that a model saw in training; it cannot use any others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from REACTKDLib.core.bounds import check_number
from REACTKDLib.core.modality import MODALITIES, subset_name


@dataclass(frozen=True)
class TrainedOn:
    """The images of the cases that a model was trained on, under "trained_on" in its metadata.

    images: a combination of inputs ('ct+fdg') -> the number of training cases that had exactly these. modality_dropout:
    the probability that an image of a case was left out of a step; above 0, the model saw every subset of each
    combination.

    Raises: ValueError that names the fault.

    Example:
        >>> seen = TrainedOn({"ct+fdg": 60, "ct": 5}, modality_dropout=0.3)
        >>> seen.modalities, seen.saw(["fdg"]), seen.saw(["ct", "acetate"])
        (('ct', 'fdg'), True, False)
    """

    images: Mapping[str, int]
    modality_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_number("trained_on.modality_dropout", self.modality_dropout, 0, 1)
        if not isinstance(self.images, Mapping) or not self.images:
            raise ValueError("trained_on.images must name at least one combination of images")
        for name, cases in self.images.items():
            parts = str(name).split("+")
            if tuple(parts) != tuple(m for m in MODALITIES if m in parts):
                raise ValueError("trained_on.images must name combinations such as ct+fdg, in the order of reports")
            if type(cases) is not int or cases < 1:
                raise ValueError("trained_on.images must give the number of cases of each combination")

    @classmethod
    def cases(cls, modalities: Iterable[Sequence[str]], modality_dropout: float) -> TrainedOn:
        """Count the cases by combination. modalities: the images of each training case."""
        return cls(dict(Counter(subset_name(m) for m in modalities)), modality_dropout)

    @classmethod
    def from_metadata(cls, values: Any) -> TrainedOn:
        """Build from the form of `to_metadata`. Raises: ValueError, TypeError."""
        if not isinstance(values, Mapping):
            raise ValueError("trained_on must be an object")
        return cls(**values)

    def to_metadata(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"images": dict(self.images), "modality_dropout": self.modality_dropout}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The images that at least one case had, in the order of reports."""
        return tuple(m for m in MODALITIES if any(m in name.split("+") for name in self.images))

    def saw(self, modalities: Iterable[str]) -> bool:
        """Return True if the model saw exactly this combination in training."""
        wanted = set(modalities)
        for name in self.images:
            seen = set(name.split("+"))
            if wanted == seen or (self.modality_dropout > 0 and wanted < seen):
                return True
        return False
