"""Named windows of CT and PET that readers use often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _

#: HU, lowest and highest; level 70 and width 260, level 30 and width 150, level 40 and width 400
CT_WINDOWS = {"liver": (-60.0, 200.0), "narrow": (-45.0, 105.0), "abdomen": (-160.0, 240.0)}
#: SUV; in many cases, equal uptake should have equal gray values
SUV_WINDOWS = {"suv5": 5.0, "suv10": 10.0, "suv15": 15.0, "suv20": 20.0}
USUAL_SUV = {Modality.FDG: 7.0, Modality.ACETATE: 10.0}  # normal liver takes up more acetate than FDG
AUTOMATIC = "auto"
_SAMPLE = 200_000  # voxels
_SHARE = 99.5  # percentile shown as white if the unit is unknown


@dataclass(frozen=True)
class NamedWindow:
    """key: as stored. title: for display."""

    key: str
    title: str


def ct_windows(task: Task = HCC_GRADE) -> tuple[NamedWindow, ...]:
    """Return the choices for a CT; for an organ other than the liver they are named by the tissue."""
    liver = task.organ == HCC_GRADE.organ
    return (
        NamedWindow("liver", _("Liver, -60 to 200 HU") if liver else _("Soft tissue, -60 to 200 HU")),
        NamedWindow("narrow", _("Liver, narrow, -45 to 105 HU") if liver else _("Soft tissue, narrow, -45 to 105 HU")),
        NamedWindow("abdomen", _("Abdomen, -160 to 240 HU")),
    )


def pet_windows(unit: Unit) -> tuple[NamedWindow, ...]:
    """Return the choices for a PET: SUV windows only if its values are SUV."""
    automatic = NamedWindow(AUTOMATIC, _("Automatic"))
    if unit is not Unit.SUVBW:
        return (automatic,)
    named = (NamedWindow(key, _("SUV 0 to {highest}").format(highest=f"{top:g}")) for key, top in SUV_WINDOWS.items())
    return (automatic, *named)


def window_of(modality: Modality, key: str, node: Any, unit: Unit) -> tuple[float, float]:
    """Return lowest and highest value of a window, in the unit of the image. node: a volume node with voxels.

    For a PET in a unit other than SUV, the window is 0 to the 99.5th percentile of its voxels; so it is for a key that
    its unit does not allow. An unknown key means the first choice.
    """
    if modality is Modality.CT:
        return CT_WINDOWS.get(key, CT_WINDOWS["liver"])
    if unit is Unit.SUVBW:
        return 0.0, SUV_WINDOWS.get(key, USUAL_SUV[modality])
    values = np.ravel(slicer.util.arrayFromVolume(node))
    top = float(np.percentile(values[:: max(1, values.size // _SAMPLE)], _SHARE))
    return 0.0, top if top > 0 else float(max(values.max(), 1.0))
