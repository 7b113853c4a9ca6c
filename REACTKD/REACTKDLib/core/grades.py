"""The grades of hepatocellular carcinoma, in order; other tasks define their own classes."""

from __future__ import annotations

from REACTKDLib.core.task import HCC_GRADE

GRADES = HCC_GRADE.class_names
