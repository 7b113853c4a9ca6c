"""Names of the presets of a study, for the command line; separate because the presets import the study's modules."""

from __future__ import annotations

#: names for `presets.preset_of`, the smallest first
PRESETS = ("smoke", "quick", "cpu", "gpu")
