"""Scenes as .mrb files, and image files into the scene: with and without the application."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import slicer

from REACTKDLib.core.errors import FileMissing, NotAnImage, OutputNotWritable
from REACTKDLib.core.files.formats.reading import read_header
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import written_beside
from REACTKDLib.core.writing.owners import hidden_name
from REACTKDLib.core.writing.replacing import remove


def save_scene(scene: Any, path: Path | str) -> None:
    """Write the scene as .mrb, whole or not at all. Raises: OutputNotWritable."""
    path = Path(path)
    folder = path.with_name(hidden_name())
    try:
        with written_beside(path) as beside:
            # In a folder of its own under its own name, because the archive's inner folder is named after the file.
            folder.mkdir(mode=0o700)
            if not scene.WriteToMRB(str(folder / path.name)):
                raise OSError(errno.EIO, "the scene could not be packed")
            (folder / path.name).replace(beside)
    except OutputNotWritable as error:
        why = getattr(error.__cause__, "strerror", None) or error.__cause__
        raise OutputNotWritable(
            _("The scene cannot be written there ({reason}); choose another folder."), reason=why
        ) from error
    finally:
        remove(folder)


def load_scene(scene: Any, path: Path | str) -> None:
    """Close the scene and read an .mrb into it. Raises: FileMissing, NotAnImage when it is no scene."""
    path = _existing(path, "scene")
    scene.Clear(0)
    if not scene.ReadFromMRB(str(path)):
        raise NotAnImage(_("The file is not a scene that Slicer can read; save the scene again as .mrb."))


def load_volume(scene: Any, path: Path | str, name: str) -> Any:
    """Read an image file into a scalar volume node. Messages hold `name`, never the path, which may name a patient.

    Raises: FileMissing, NotAnImage, and what `formats.reading.read_header` raises: Slicer repairs some faults silently.
    """
    path = _existing(path, name)
    read_header(path, _("the {name}").format(name=name))
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name)
    if node is None:
        raise NotAnImage(
            _("The file of the {name} is not an image that can be read; give a NIfTI, NRRD or MHA file."), name=name
        )
    return node


def load_segmentation(scene: Any, path: Path | str, name: str) -> Any:
    """Read a .seg.nrrd or a label map into a segmentation node. Raises: FileMissing, NotAnImage."""
    path = _existing(path, name)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    if not storage.ReadData(node) or node.GetSegmentation().GetNumberOfSegments() == 0:
        scene.RemoveNode(node)
        raise NotAnImage(_("The file of the {name} holds no segments; give a .seg.nrrd or a label map."), name=name)
    node.CreateDefaultDisplayNodes()
    return node


def _existing(path: Path | str, name: str) -> Path:
    if not Path(path).is_file():
        raise FileMissing(_("There is no file for the {name}; check the path."), name=name)
    return Path(path)
