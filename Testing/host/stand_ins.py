"""Which class stands in for which widget of CTK and MRML: in .ui files, in `ctk` and in `slicer`."""

from __future__ import annotations

from host.ctk_widgets import ctkCollapsibleButton, ctkPathLineEdit, ctkSliderWidget
from host.mrml_widgets import qMRMLNodeComboBox, qMRMLWidget
from host.segment_widgets import qMRMLSegmentSelectorWidget, qMRMLSegmentsTableView

CTK = {kind.__name__: kind for kind in (ctkCollapsibleButton, ctkPathLineEdit, ctkSliderWidget)}
MRML = {
    kind.__name__: kind for kind in (qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentSelectorWidget, qMRMLSegmentsTableView)
}
STAND_INS = {**CTK, **MRML}
