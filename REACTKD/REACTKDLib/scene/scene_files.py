"""Scenes as .mrb files, and image files into the scene: with and without the application."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import slicer

from REACTKDLib.core.errors import FileMissing, NotAnImage, OutputNotWritable


def save_scene(scene: Any, path: Path | str) -> None:
    """Write the scene as .mrb, whole or not at all. Raises: OutputNotWritable."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In a folder of its own under its own name, because the archive's inner folder is named after the file.
        with tempfile.TemporaryDirectory(prefix=f"{path.stem}-", dir=path.parent) as folder:
            beside = Path(folder) / path.name
            if not scene.WriteToMRB(str(beside)):
                raise OSError("the scene could not be packed")
            beside.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputNotWritable(f"{path.name} cannot be written ({reason}); choose another folder.") from error


def load_scene(scene: Any, path: Path | str) -> None:
    """Close the scene and read an .mrb into it. Raises: FileMissing, NotAnImage when it is no scene."""
    path = Path(path)
    if not path.is_file():
        raise FileMissing(f"There is no file {path.name}; check the path.")
    scene.Clear(0)
    if not scene.ReadFromMRB(str(path)):
        raise NotAnImage(f"{path.name} is not a scene that Slicer can read; save it again as .mrb.")


def load_volume(scene: Any, path: Path | str, name: str) -> Any:
    """Read an image file into a scalar volume node. Raises: FileMissing, NotAnImage."""
    path = Path(path)
    if not path.is_file():
        raise FileMissing(f"There is no file {path.name}; check the path.")
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name)
    if node is None:
        raise NotAnImage(f"{path.name} cannot be read as an image; choose a NIfTI, NRRD or MHA file.")
    return node


def load_segmentation(scene: Any, path: Path | str, name: str) -> Any:
    """Read a .seg.nrrd or a label map into a segmentation node. Raises: FileMissing, NotAnImage."""
    path = Path(path)
    if not path.is_file():
        raise FileMissing(f"There is no file {path.name}; check the path.")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    if not storage.ReadData(node) or node.GetSegmentation().GetNumberOfSegments() == 0:
        scene.RemoveNode(node)
        raise NotAnImage(f"{path.name} holds no segments; choose a .seg.nrrd or a label map.")
    node.CreateDefaultDisplayNodes()
    return node
