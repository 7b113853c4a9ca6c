"""What the presets of a study are called: said by the command line before anything that a study needs is loaded."""

from __future__ import annotations

#: of `presets.preset_of`, the smallest first
PRESETS = ("smoke", "quick", "cpu", "gpu")
