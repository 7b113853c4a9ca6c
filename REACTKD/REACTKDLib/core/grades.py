"""The grades of hepatocellular carcinoma, in order; another task has classes of its own."""

from __future__ import annotations

from REACTKDLib.core.task import HCC_GRADE

GRADES = HCC_GRADE.class_names
