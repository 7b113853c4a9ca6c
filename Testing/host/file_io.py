"""`slicer.app.coreIOManager()`: reading and writing by file type, for the functions of slicer.util."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
import vtk

# Extension -> file type, longer extensions first.
BY_EXTENSION = {
    ".seg.nrrd": "SegmentationFile",
    ".mrk.json": "MarkupsFile",
    ".nii.gz": "VolumeFile",
    ".nrrd": "VolumeFile",
    ".nii": "VolumeFile",
    ".mha": "VolumeFile",
    ".mrb": "SceneFile",
    ".mrml": "SceneFile",
    ".h5": "TransformFile",
    ".tfm": "TransformFile",
    ".vtk": "ModelFile",
    ".vtp": "ModelFile",
    ".ply": "ModelFile",
    ".stl": "ModelFile",
    ".tsv": "TableFile",
    ".csv": "TableFile",
}
NODES = {
    "SegmentationFile": "vtkMRMLSegmentationNode",
    "TransformFile": "vtkMRMLTransformNode",
    "ModelFile": "vtkMRMLModelNode",
    "TableFile": "vtkMRMLTableNode",
    "VolumeFile": "vtkMRMLVolumeNode",
    "MarkupsFile": "vtkMRMLMarkupsNode",
}


class CoreIOManager:
    """The methods that slicer.util.load... and save... call."""

    def fileType(self, file_name: str) -> str:
        for extension, kind in BY_EXTENSION.items():
            if str(file_name).lower().endswith(extension):
                return kind
        return "NoFile"

    def fileWriterFileType(self, node: Any) -> str:
        return next((kind for kind, node_class in NODES.items() if node.IsA(node_class)), "NoFile")

    def loadNodes(self, file_type: str, properties: dict[str, Any], loaded: Any, messages: Any) -> bool:
        path = Path(properties["fileName"])
        if not path.exists():
            messages.AddMessage(vtk.vtkCommand.ErrorEvent, f"{path} does not exist")
            return False
        name = properties.get("name") or path.name.split(".")[0]
        if file_type == "SceneFile":
            return self._load_scene(path, properties.get("clear", False))
        if file_type == "VolumeFile":
            options = 1 if properties.get("labelmap") else 0
            node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, options)
        else:
            node = self._load_by_storage(path, NODES[file_type], name)
        if node is None:
            return False
        loaded.AddItem(node)
        return True

    def saveNodes(self, file_type: str, properties: dict[str, Any], _messages: Any) -> bool:
        path = str(properties["fileName"])
        if file_type == "SceneFile":
            if path.endswith(".mrb"):
                return bool(slicer.mrmlScene.WriteToMRB(path))
            slicer.mrmlScene.SetURL(path)
            return bool(slicer.mrmlScene.Commit())
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode(path)
        node.GetStorageNode().SetFileName(path)
        return bool(node.GetStorageNode().WriteData(node))

    @staticmethod
    def _load_scene(path: Path, clear: bool) -> bool:
        scene = slicer.mrmlScene
        if clear:
            scene.Clear(0)
        if path.suffix == ".mrb":
            return bool(scene.ReadFromMRB(str(path), clear))
        scene.SetURL(str(path))
        return bool(scene.Connect() if clear else scene.Import())

    @staticmethod
    def _load_by_storage(path: Path, node_class: str, name: str) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass(node_class, name)
        node.AddDefaultStorageNode(str(path))
        if not node.GetStorageNode().ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            return None
        if node.IsA("vtkMRMLDisplayableNode"):
            node.CreateDefaultDisplayNodes()
        return node
