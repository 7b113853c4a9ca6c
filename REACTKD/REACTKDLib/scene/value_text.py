"""The texts of a value of the explanation, in the language of the application."""

from __future__ import annotations

import re

from REACTKDLib.core.reports.region_value import RegionValue
from REACTKDLib.scene.translation import translate

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def value_text(value: RegionValue, text: str, grade: str | None) -> str:
    """Return `text`, one of those of `value`, translated. grade: what {grade} in it stands for, for people."""
    translation = translate(value.context, text)
    if set(_PLACEHOLDER.findall(translation)) != set(_PLACEHOLDER.findall(text)):
        translation = text  # a translator's slip must not hide what is said
    return translation.format(grade=grade)
