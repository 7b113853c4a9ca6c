"""Display settings of a result and their application to the output nodes; only the report is needed.

Settings can therefore be changed at any time, also in a scene that was saved and loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.color_scale import has_scale, write_scale
from REACTKDLib.scene.colors import legend_of
from REACTKDLib.scene.heat_map import hide_from_slices, show_in_slices
from REACTKDLib.scene.overlay import Overlay
from REACTKDLib.scene.pet_outlines import follow_on_pet
from REACTKDLib.scene.region_graph import color_graph
from REACTKDLib.scene.region_segmentation import color_liver_outline, color_regions


@dataclass(frozen=True)
class ViewChoice:
    """Display settings of a result.

    overlay: the value that colors represent. opacity: of the fill in slices, 0 to 1; outlines stay. The rest: shown or
    not.
    """

    overlay: Overlay = field(default_factory=Overlay)
    opacity: float = 0.42
    legend: bool = True
    three_d: bool = True
    graph: bool = False


def show_as(outputs: Any, report: GradeReport, view: ViewChoice) -> None:
    """Apply `view` to the output nodes (`scene.outputs.Outputs`) of a graded case."""
    show_regions(outputs, report, view)
    show_graph(outputs, report, view)
    show_legends(outputs, report, view)
    scene = outputs.regions.GetScene()
    if view.overlay.offered_by(report).value is None:
        show_in_slices(scene, outputs.heat_map, view.opacity)
    else:
        hide_from_slices(scene, outputs.heat_map)


def show_regions(outputs: Any, report: GradeReport, view: ViewChoice) -> None:
    """Apply `view` to the regions, the outline of the organ, also over a PET, and the color scale."""
    overlay = view.overlay.offered_by(report)
    color_regions(outputs.regions, report, overlay, see_through=view.graph)
    if outputs.liver_outline is not None:
        color_liver_outline(outputs.liver_outline, outputs.regions)
    display = outputs.regions.GetDisplayNode()
    display.SetOpacity2DFill(0.0 if overlay.value is None else view.opacity)
    display.SetVisibility3D(view.three_d)
    for node in filter(None, (outputs.regions, outputs.liver_outline)):
        follow_on_pet(node)
    write_scale(outputs.scale, _table_of(outputs, overlay), report, overlay, view.legend)


def show_graph(outputs: Any, report: GradeReport, view: ViewChoice) -> None:
    """Apply `view` to the graph in 3D."""
    overlay = view.overlay.offered_by(report)
    color_graph(outputs, _table_of(outputs, overlay), report, overlay, view.graph)


def _table_of(outputs: Any, overlay: Overlay) -> Any:
    return outputs.weight_colors if overlay.one_sided else outputs.effect_colors


def show_legends(outputs: Any, report: GradeReport, view: ViewChoice) -> None:
    """Show or hide the legends of a result; that of its map is visible where the map is a layer."""
    scaled = has_scale(report, view.overlay.offered_by(report))
    for node, has_one in ((outputs.scale, scaled), (outputs.heat_map, True)):
        legend = legend_of(node)
        if legend is not None:
            legend.SetVisibility(view.legend and has_one)
