"""An organ to paint: a solid, its CT value, its uptake, and what lies inside it."""

from __future__ import annotations

from dataclasses import dataclass

from REACTKDLib.core.phantom.organs.grid_solid import GridSolid

#: activity relative to the liver's, for each of `anatomy.TRACERS`
UPTAKE = {
    "air": (0.0, 0.0),
    "gas": (0.05, 0.05),
    "skin": (0.30, 0.22),
    "fat": (0.12, 0.10),
    "muscle": (0.33, 0.26),
    "bone": (0.45, 0.35),
    "marrow": (0.75, 0.60),
    "cord": (0.50, 0.30),
    "lung": (0.20, 0.15),
    "kidney": (1.35, 1.00),
    "urine": (4.50, 0.60),
    "spleen": (0.85, 1.05),
    "pancreas": (0.65, 1.35),
    "stomach": (0.80, 0.60),
    "bowel": (0.85, 0.65),
    "content": (0.35, 0.25),
    "bile": (0.20, 0.30),
    "adrenal": (0.80, 0.60),
    "myocardium": (2.40, 0.90),
    "blood": (0.80, 0.25),
    "cyst": (0.25, 0.15),
    "hemangioma": (0.95, 0.85),
    "table": (0.0, 0.0),
}


@dataclass(frozen=True)
class Layer:
    """Something inside an organ: deeper than `inset` mm, anterior to y = `above` mm if given (gas rises in a supine
    patient), inside `solid` if given. mottle: HU of a coarse texture, as of food and stool.
    """

    kind: str
    hu: float
    inset: float = 0.0
    above: float | None = None
    solid: GridSolid | None = None
    mottle: float = 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """kind: determines the uptake. name: of the organ. hu: of its outer layer."""

    name: str
    kind: str
    hu: float
    solid: GridSolid
    layers: tuple[Layer, ...] = ()
