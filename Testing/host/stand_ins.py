"""Substitute classes for the widgets of CTK and MRML: in .ui files, in `ctk` and in `slicer`."""

from __future__ import annotations

from host import ctk_widgets, mrml_widgets, segment_widgets


def _classes(module: object, prefix: str) -> dict[str, type]:
    return {name: kind for name, kind in vars(module).items() if name.startswith(prefix)}


CTK = _classes(ctk_widgets, "ctk")
MRML = _classes(mrml_widgets, "qMRML") | _classes(segment_widgets, "qMRML")
#: a layout is not a widget: .ui files cannot contain it under its own name
STAND_INS = {name: kind for name, kind in (CTK | MRML).items() if not name.endswith("Layout")}
