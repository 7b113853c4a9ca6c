"""The reader's display settings: which images, how a PET is colored, and which windows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.pet_colors import GRAY, HOT, TABLES
from REACTKDLib.scene.windows import AUTOMATIC

CT, FDG, ACETATE = (modality.value for modality in Modality)
FUSED_FDG, FUSED_ACETATE, ROWS = "ct+fdg", "ct+acetate", "rows"
FUSED = (FUSED_FDG, FUSED_ACETATE)
#: in the order of the panel
IMAGES = (CT, FDG, ACETATE, *FUSED, ROWS)
_FIRST = (*FUSED, CT, FDG, ACETATE)  # order of preference for the default

Layer = tuple[Modality, Modality | None]


@dataclass(frozen=True)
class ReadingView:
    """Display settings.

    on: the module's layout is shown, else the user's. images: one of `IMAGES`; empty: as many images as the case has.

    fused_table, alone_table: see `pet_colors`. opacity: of a PET over a CT, 0 to 1. ct_window, pet_window: keys of
    `windows`. projection: a maximum intensity projection of the PET in 3D. names: of the lesions, in all views.
    """

    on: bool = True
    images: str = ""
    fused_table: str = HOT
    alone_table: str = GRAY
    opacity: float = 0.5
    ct_window: str = "liver"
    pet_window: str = AUTOMATIC
    projection: bool = False
    names: bool = True

    def shown(self, available: Collection[Modality]) -> str:
        """Return the entry of `IMAGES` to show for a case: the chosen one, else the one with the most images."""
        offered = offered_images(available)
        return self.images if self.images in offered else next((key for key in _FIRST if key in offered), "")

    def table(self, images: str) -> str:
        """Return the color table that a choice of images uses."""
        table, default = (self.fused_table, HOT) if images in FUSED else (self.alone_table, GRAY)
        return table if table in TABLES else default


def offered_images(available: Collection[Modality]) -> tuple[str, ...]:
    """Return those of `IMAGES` that a case with these images can show."""
    names = {modality.value for modality in available}
    needs = {FUSED_FDG: {CT, FDG}, FUSED_ACETATE: {CT, ACETATE}}
    return tuple(key for key in IMAGES if (len(names) > 1 if key == ROWS else needs.get(key, {key}) <= names))


def layers_of(images: str, available: Collection[Modality]) -> tuple[Layer, ...]:
    """Return (background, foreground or None) of each row of slices."""
    if images == ROWS:
        return tuple((modality, None) for modality in Modality if modality in available)
    back, _plus, front = images.partition("+")
    return ((Modality(back), Modality(front) if front else None),) if images else ()


def pet_of(images: str, available: Collection[Modality]) -> Modality | None:
    """Return the PET that a choice shows; of several, the first; None for a CT alone."""
    pets = [pet for row in layers_of(images, available) for pet in row if pet not in (None, Modality.CT)]
    return pets[0] if pets else None
