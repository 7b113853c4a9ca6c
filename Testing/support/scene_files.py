"""Scenes as .mrb files, and loading image files into the scene, without the application: for tests and the demo.

In the application, Slicer's own readers and writers do this.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from REACTKDLib.core.errors import NotAnImage
from REACTKDLib.core.files.formats.reading import read_header


def save_scene(scene: Any, path: Path) -> None:
    """Write the scene as .mrb."""
    assert scene.WriteToMRB(str(path))


def load_scene(scene: Any, path: Path) -> None:
    """Close the scene and load an .mrb file."""
    scene.Clear(0)
    assert scene.ReadFromMRB(str(path))


def load_volume(path: Path, name: str) -> Any:
    """Load an image file into a scalar volume node, after `read_header`, since Slicer silently repairs some faults.

    Raises: see `read_header`.
    """
    read_header(Path(path), f"the {name}")
    return slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name)


def load_segmentation(scene: Any, path: Path, name: str) -> Any:
    """Load a .seg.nrrd or a label map into a segmentation node. Raises: NotAnImage if it contains no segment."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    if not storage.ReadData(node) or node.GetSegmentation().GetNumberOfSegments() == 0:
        raise NotAnImage(f"The file of the {name} holds no segments; give a .seg.nrrd or a label map.")
    node.CreateDefaultDisplayNodes()
    return node
