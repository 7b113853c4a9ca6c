"""A scalar volume with its position in the patient: the array, the IJK-to-RAS matrix, the unit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from REACTKDLib.core.errors import BadSpacing, NotAnImage, NotFinite, NotThreeDimensional, SingularDirection
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _


class Unit(str, Enum):
    """The unit of the voxel values."""

    HU = "HU"
    SUVBW = "SUVbw"
    BQML = "Bq/ml"
    UNKNOWN = "unknown"


def check_geometry(ijk_to_ras: np.ndarray, name: str = _("the volume")) -> np.ndarray:
    """Return `ijk_to_ras` as float64 (4, 4), or raise if it does not define a patient space.

    Raises: BadSpacing for zero, negative or non-finite axis lengths; SingularDirection for axes that lie in one plane.
    """
    matrix = np.asarray(ijk_to_ras, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
        raise BadSpacing(
            _("The geometry of {name} holds values that are not numbers; export the image again."), name=name
        )
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if np.any(lengths <= 1e-6):
        raise BadSpacing(
            _("The voxel spacing of {name} is zero along an axis; correct the spacing or export it again."), name=name
        )
    if abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-3:
        raise SingularDirection(
            _("The axes of {name} lie in one plane; correct its direction matrix or export it again."), name=name
        )
    return matrix


def check_real(array: np.ndarray, name: str) -> None:
    """Raise NotAnImage if the values are not real numbers but complex ones, text, dates, colors or objects.

    name: the name of the image in the message.
    """
    if array.dtype.kind not in "iufb":
        text = _("{name} holds no real numbers (its values are of the type {kind}); give a scalar image.")
        raise NotAnImage(text, name=name, kind=array.dtype.name)


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D scalar image.

    array: (D, H, W) = (k, j, i), the order of `slicer.util.arrayFromVolume`.
    ijk_to_ras: (4, 4), mm; its columns belong to i, j, k.
    unit: of the values. name: used in messages only. findings: remarks of the file reader.
    other_places: other matrices (4, 4) that the file states and that are not used.
    unit_inferred: the unit is not stated but inferred from the values, see `pet_values.infer_pet_unit`.

    Raises: NotThreeDimensional, NotAnImage (not real numbers), NotFinite, BadSpacing, SingularDirection.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    unit: Unit = Unit.UNKNOWN
    name: str = ""
    findings: tuple[Finding, ...] = ()
    other_places: tuple[np.ndarray, ...] = ()
    unit_inferred: bool = False
    checked: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        label = self.name or _("the volume")
        array = np.asarray(self.array)
        if array.ndim != 3 or array.size == 0:
            text = _(
                "{label} has {dimensions} dimensions and {count} values where a 3-D image is needed; "
                "split a time series or a color image into single volumes first."
            )
            raise NotThreeDimensional(text, label=label, dimensions=array.ndim, count=array.size)
        check_real(array, label)
        if not self.checked and array.dtype.kind == "f" and not np.isfinite(array).all():
            text = _("{label} holds NaN or infinite voxels; replace them (for CT by -1024) and save it again.")
            raise NotFinite(text, label=label)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "ijk_to_ras", check_geometry(self.ijk_to_ras, label))
        object.__setattr__(self, "unit", Unit(self.unit))
        object.__setattr__(self, "checked", True)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        return self.array.shape

    @property
    def spacing(self) -> np.ndarray:
        """(3,) voxel size in mm, in the order i, j, k."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000.0

    def with_array(self, array: np.ndarray, unit: Unit | None = None) -> Volume:
        """Return a volume with the same geometry and other values (D, H, W). unit: their unit, if it differs."""
        if unit is None:
            return replace(self, array=array, checked=False)
        return replace(self, array=array, unit=unit, unit_inferred=False, checked=False)
