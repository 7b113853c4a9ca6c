"""Boots Slicer's MRML scene and module logics without the application, in the required order."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
import vtk

from host.constants_kept import keep_constants
from host.errors import VtkErrors

# By module name, under which logics look each other up in the application logic.
LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",  # registers the converters between segment representations
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
}

# Files in the application; label maps and segmentations look up the nodes by exactly these IDs.
COLOR_FILES = ("GenericColors.txt", "GenericAnatomyColors.txt")


@dataclass(frozen=True)
class Host:
    """The booted parts. One per process, because `slicer.mrmlScene` is one per process."""

    scene: Any
    application_logic: Any
    logics: dict[str, Any]
    errors: VtkErrors

    def reset(self) -> None:
        """Close the scene as the application does, and forget collected errors.

        View nodes of an application that ran in this process outlive it in the scene. No layout shows them any longer;
        `host.application.start` shows them again.
        """
        self.scene.Clear(0)
        for kind in ("vtkMRMLSliceNode", "vtkMRMLViewNode"):
            for node in slicer.util.getNodesByClass(kind, self.scene):
                node.SetMappedInLayout(False)
        self.errors.clear()


@cache
def boot() -> Host:
    """Boot once per process and set `slicer.mrmlScene` and `slicer.modules`; later calls return the same host."""
    keep_constants()
    errors = VtkErrors().install()
    scene = slicer.vtkMRMLScene()
    application_logic = slicer.vtkSlicerApplicationLogic()
    application_logic.SetMRMLScene(scene)
    application_logic.SetSliceLogics(vtk.vtkCollection())
    application_logic.SetViewLogics(vtk.vtkCollection())
    _serve_files(scene)
    scene.RegisterNodeClass(slicer.vtkMRMLCommandLineModuleNode())
    logics = {name: _start_logic(name, kind, application_logic, scene) for name, kind in LOGICS.items()}
    logics["Colors"].AddDefaultColorNodes()
    for file_name in COLOR_FILES:
        _add_color_file(scene, file_name)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    slicer.mrmlScene = scene
    _offer_modules(logics)
    errors.assert_none()
    return Host(scene, application_logic, logics, errors)


def _start_logic(name: str, kind: str, application_logic: Any, scene: Any) -> Any:
    logic = getattr(slicer, kind)()
    if name == "Terminologies":
        logic.SetModuleShareDirectory(_terminology_folder())
    logic.SetMRMLApplicationLogic(application_logic)  # before the scene, because the color logic needs it
    logic.SetMRMLScene(scene)
    application_logic.SetModuleLogic(name, logic)
    return logic


def _serve_files(scene: Any) -> None:
    """Set up what the scene needs to read an .mrb."""
    folder = tempfile.mkdtemp(prefix="slicer-host-")
    cache_manager = slicer.vtkCacheManager()
    cache_manager.SetRemoteCacheDirectory(folder)
    scene.SetCacheManager(cache_manager)
    io_manager = slicer.vtkDataIOManager()
    io_manager.SetCacheManager(cache_manager)
    scene.SetDataIOManager(io_manager)


def _offer_modules(logics: dict[str, Any]) -> None:
    """Set `slicer.modules.<name>.logic()`, by which slicer.util finds a logic."""
    if not hasattr(slicer, "modules"):
        slicer.modules = SimpleNamespace()
    for name, logic in logics.items():
        setattr(slicer.modules, name.lower(), SimpleNamespace(name=name, logic=lambda logic=logic: logic))


def _add_color_file(scene: Any, file_name: str) -> None:
    """Substitute for a color file: a small table with the ID that the file would have."""
    node = slicer.vtkMRMLColorTableNode()
    node.SetSingletonTag(f"File{file_name}")
    node.SetName(file_name.removesuffix(".txt"))
    node.SetTypeToUser()
    node.SetNumberOfColors(8)
    hues = vtk.vtkMath()
    for index in range(8):
        rgb = [0.0, 0.0, 0.0]
        hues.HSVToRGB([index / 8.0, 0.6, 0.9], rgb)
        node.SetColor(index, str(index), *rgb, 0.0 if index == 0 else 1.0)
    node.SaveWithSceneOff()
    node.HideFromEditorsOn()
    scene.AddNode(node)


def _terminology_folder() -> str:
    """Write the smallest terminology files that the logic accepts; those of the application are long."""
    folder = Path(tempfile.mkdtemp(prefix="slicer-terms-"))
    schema = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/"

    def code(value: str, meaning: str) -> dict[str, str]:
        return {"CodingSchemeDesignator": "SCT", "CodeValue": value, "CodeMeaning": meaning}

    def type_of(value: str, meaning: str, rgb: list[int]) -> dict[str, Any]:
        return {**code(value, meaning), "recommendedDisplayRGBValue": rgb}

    categories = [
        {
            **code("85756007", "Tissue"),
            "showAnatomy": True,
            "Type": [type_of("85756007", "Tissue", [128, 174, 128])],
        },
        {
            **code("123037004", "Anatomical Structure"),
            "showAnatomy": False,
            "Type": [type_of("10200004", "Liver", [221, 130, 101])],
        },
        {
            **code("49755003", "Morphologically Altered Structure"),
            "showAnatomy": True,
            "Type": [type_of("4147007", "Mass", [144, 238, 144])],
        },
    ]
    for file_stem, title in (
        (
            "SegmentationCategoryTypeModifier-SlicerGeneralAnatomy",
            "Segmentation category and type - 3D Slicer General Anatomy list",
        ),
        ("SegmentationCategoryTypeModifier-DICOM-Master", "Segmentation category and type - DICOM master list"),
    ):
        content = {
            "SegmentationCategoryTypeContextName": title,
            "@schema": schema + "segment-context-schema.json#",
            "SegmentationCodes": {"Category": categories},
        }
        (folder / f"{file_stem}.term.json").write_text(json.dumps(content), encoding="utf-8")
    region = {
        "AnatomicContextName": "Anatomic codes - DICOM master list",
        "@schema": schema + "anatomic-context-schema.json#",
        "AnatomicCodes": {"AnatomicRegion": [code("10200004", "Liver")]},
    }
    (folder / "AnatomicRegionAndModifier-DICOM-Master.term.json").write_text(json.dumps(region), encoding="utf-8")
    return str(folder)
