"""Color tables of a PET: inverted gray and hot, alone or laid over a CT.

Over a CT they are transparent where there is no uptake, so that the CT keeps its gray; alone they are opaque.
"""

from __future__ import annotations

from typing import Any

import slicer

HOT, GRAY = "hot", "gray"
TABLES = (GRAY, HOT)
_ENTRIES = 256
_CLEAR_TO = 0.7  # of the window: above this a fused PET has full opacity


def pet_table(scene: Any, kind: str, fused: bool) -> Any:
    """Return the color table node of a kind ("gray": white to black, "hot": black, red, yellow, white), created
    once.
    """
    tag = f"REACTKD{kind.capitalize()}{'Fused' if fused else ''}"
    node = scene.GetSingletonNode(tag, "vtkMRMLColorTableNode")
    if node is not None and node.GetNumberOfColors() == _ENTRIES:
        return node
    node = slicer.vtkMRMLColorTableNode()
    node.SetSingletonTag(tag)
    node.SetName(tag)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetTypeToUser()
    node.SetNumberOfColors(_ENTRIES)
    for index in range(_ENTRIES):
        share = index / (_ENTRIES - 1)
        alpha = min(1.0, share / _CLEAR_TO) if fused else 1.0
        node.SetColor(index, str(index), *_color(kind, share), alpha)
    node.GetLookupTable().SetRange(0, _ENTRIES - 1)
    return scene.AddNode(node)


def _color(kind: str, share: float) -> tuple[float, float, float]:
    if kind == GRAY:
        return (1.0 - share,) * 3
    return tuple(min(1.0, max(0.0, 3.0 * share - start)) for start in (0.0, 1.0, 2.0))  # as "hot" in plotting libraries
