"""A stand-in for Slicer's module Sample Data: what modules register with, and a panel with a button for each sample."""

from __future__ import annotations

import os
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget


class SampleData(ScriptedLoadableModule):
    """The module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Sample Data")
        parent.categories = ["Informatics"]


class SampleDataSource:
    """One sample. As in Slicer, the lists must be of one length; here its thumbnail must exist as well."""

    def __init__(
        self,
        sampleName: str,
        uris: Any,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: str | None = None,
    ) -> None:
        if isinstance(uris, str):
            uris, fileNames, nodeNames = [uris], [fileNames], [nodeNames]
        nodeNames = [None] * len(uris) if nodeNames is None else nodeNames
        if not len(uris) == len(fileNames) == len(nodeNames):
            raise ValueError("All fields of sample data source must have the same length")
        if thumbnailFileName is not None and not os.path.isfile(thumbnailFileName):
            raise ValueError(f"there is no thumbnail {thumbnailFileName}")
        self.sampleName, self.sampleDescription = sampleName, sampleName
        self.uris, self.fileNames, self.nodeNames = uris, fileNames, nodeNames
        self.customDownloader, self.thumbnailFileName = customDownloader, thumbnailFileName


class SampleDataLogic:
    """What other modules call."""

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        if not hasattr(slicer.modules, "sampleDataSourceCategories"):
            slicer.modules.sampleDataSourceCategories = {}
        slicer.modules.sampleDataSourceCategories.setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", sampleName: str = "", **keywords: Any) -> None:
        source = SampleDataSource(sampleName, **keywords)
        sources = SampleDataLogic.sampleDataSourcesByCategory().setdefault(category, [])
        if all(vars(known) != vars(source) for known in sources):
            sources.append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        sources = slicer.modules.sampleDataSources
        return sources if category is None else sources.get(category, [])

    @staticmethod
    def categoryTitle(category: str) -> str:
        return getattr(slicer.modules, "sampleDataSourceCategories", {}).get(category, {}).get("title", category)


class SampleDataWidget(ScriptedLoadableModuleWidget):
    """A button with thumbnail for each sample, by category."""

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        for category, sources in sorted(SampleDataLogic.sampleDataSourcesByCategory().items()):
            group = qt.QGroupBox(SampleDataLogic.categoryTitle(category))
            group.setLayout(qt.QGridLayout())
            self.layout.addWidget(group)
            for index, source in enumerate(sources):
                group.layout().addWidget(self._button(source), index // 2, index % 2)
        self.layout.addStretch(1)

    @staticmethod
    def _button(source: SampleDataSource) -> Any:
        button = qt.QToolButton()
        button.text = source.sampleDescription
        button.name = f"{source.sampleName}PushButton"
        if source.thumbnailFileName:
            button.icon = qt.QIcon(source.thumbnailFileName)
        button.iconSize = qt.QSize(144, 96)
        button.toolButtonStyle = qt.Qt.ToolButtonTextUnderIcon
        button.connect("clicked()", lambda: source.customDownloader(source))
        return button
