"""The grades of hepatocellular carcinoma, in order; a bundle carries its own classes."""

from __future__ import annotations

GRADES = ("well", "moderate", "poor")
