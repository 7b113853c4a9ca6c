"""What a model saw in training: images, combinations of images, and the CT values of the organ."""

from __future__ import annotations

import math
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
    combination. organ_hu: the least and the most HU that the organ without its lesions has on average on the CT of a
    training case, rounded to the next HU outward; None if it is not known, as in older models.

    Raises: ValueError that names the fault.

    Example:
        >>> seen = TrainedOn({"ct+fdg": 60, "ct": 5}, modality_dropout=0.3)
        >>> seen.modalities, seen.saw(["fdg"]), seen.saw(["ct", "acetate"])
        (('ct', 'fdg'), True, False)
    """

    images: Mapping[str, int]
    modality_dropout: float = 0.0
    organ_hu: tuple[float, float] | None = None

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
        if self.organ_hu is not None:
            self._check_organ_hu()

    def _check_organ_hu(self) -> None:
        if not isinstance(self.organ_hu, (list, tuple)) or len(self.organ_hu) != 2:
            raise ValueError("trained_on.organ_hu must be the least and the most HU of the organ, two numbers")
        for value in self.organ_hu:
            check_number("trained_on.organ_hu", value, -1100, 4000)
        if self.organ_hu[0] > self.organ_hu[1]:
            raise ValueError("trained_on.organ_hu must name the least HU first")
        if "ct" not in self.modalities:
            raise ValueError("trained_on.organ_hu must be absent, since no training case had a CT")

    @classmethod
    def cases(
        cls, modalities: Iterable[Sequence[str]], modality_dropout: float, organ_hu: Iterable[float] = ()
    ) -> TrainedOn:
        """Count the cases by combination. modalities: the images of each training case. organ_hu: the mean HU of the
        organ on each CT among them.
        """
        known = tuple(organ_hu)
        limits = (float(math.floor(min(known))), float(math.ceil(max(known)))) if known else None
        return cls(dict(Counter(subset_name(m) for m in modalities)), modality_dropout, limits)

    @classmethod
    def from_metadata(cls, values: Any) -> TrainedOn:
        """Build from the form of `to_metadata`. Raises: ValueError, TypeError."""
        if not isinstance(values, Mapping):
            raise ValueError("trained_on must be an object")
        limits = values.get("organ_hu")
        return cls(**{**values, "organ_hu": tuple(limits) if isinstance(limits, list) else limits})

    def to_metadata(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        known = {} if self.organ_hu is None else {"organ_hu": list(self.organ_hu)}
        return {"images": dict(self.images), "modality_dropout": self.modality_dropout, **known}

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
