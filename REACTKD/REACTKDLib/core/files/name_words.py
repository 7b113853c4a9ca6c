"""The words of segment names for a task: for its organ, its lesions, and words that may accompany them.

General words for lesions ("tumor", "lesion", "mass"), and words for versions and authors, apply to every task.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from REACTKDLib.core.task_parts import Lesion, Organ

#: kind of a segment: the organ of the task, or its lesions
Kind = Literal["liver", "tumor"]

_LESIONS = (
    r"tumou?r(s|al|ous)?|lesions?|mass(es)?|neoplas(m|ms|ia|tic)|carcinomas?|cancers?|"
    r"metastas[ei]s|metastatic|mets|nodules?|malignan(t|cy)|gtv|necrosis|necrotic"
)
# Words for one whole lesion. Words for a part ("necrosis", "viable"), all of them ("tumors", "whole") or the image
# ("tumor PET") do not state the extent of a single lesion.
_ONE_LESION = r"tumou?r|lesion|mass|neoplasm|carcinoma|cancer|metastasis|nodule"
_OF_ONE = (
    r"\d+|[a-z]|(ii|iii|iv|vi|vii|viii)|the|of|in|mask|seg|segment|segmentation|roi|voi|"
    r"main|primary|secondary|satellite|index|target|small|large|big|left|right|lobe"
)
_NEUTRAL = (
    r"\d+|[a-z]|(ii|iii|iv|vi|vii|viii)[ab]?|the|of|in|and|whole|entire|total|full|all|organ|tissue|parenchyma(l)?|"
    r"normal|healthy|background|mask|masks|label|labels|labelmap|seg|segm|segment|segmentation|"
    r"roi|voi|contour|structure|ct|pet|fdg|acetate|act|mr|mri|venous|arterial|phase|baseline|pre|post|main|primary|"
    r"secondary|satellite|index|target|small|large|big|left|right|lobe|lobes|core|viable|enhancing|solid|recurrent|"
    r"well|moderately|poorly|differentiated|tace"
)
_HOST = r"parenchyma(l)?|organ|tissue|background|normal|healthy"
_WITHOUT = (
    r"\b(minus|without|excluding|excl|except|not|no|non)\b (the )?(?P<what>tumou?rs?|lesions?|mass|masses{more})\b"
)
_ASIDE = "the of in mask masks label labels labelmap seg segm segment segmentation roi voi"


@dataclass(frozen=True, eq=False)
class NameWords:
    """Patterns for single words of a name, lower case. tumor, liver: words for lesions and organ, singular or plural.

    one_lesion: one whole lesion; of_one: words that may accompany it. neutral: words that may accompany either. host:
    what contains lesions. without: "minus tumor". aside: words that tell nothing about the author or the version.
    phrases: names of several words -> the single word as which they are read.
    """

    tumor: re.Pattern
    liver: re.Pattern
    one_lesion: re.Pattern
    of_one: re.Pattern
    neutral: re.Pattern
    host: re.Pattern
    without: re.Pattern
    aside: frozenset[str]
    phrases: tuple[tuple[re.Pattern, str], ...]

    def kind_of(self, word: str) -> Kind | None:
        """Return the kind that one word names, if it is the organ or lesions."""
        return "tumor" if self.tumor.fullmatch(word) else "liver" if self.liver.fullmatch(word) else None

    def joined(self, text: str) -> str:
        """Return a name with phrases joined: "adrenal gland" as one word, if that is the task's name for its organ."""
        for pattern, word in self.phrases:
            text = pattern.sub(word, text)
        return text


@cache
def name_words(organ: Organ, lesion: Lesion) -> NameWords:
    """Return the patterns for an organ and the lesions in it."""
    own = re.escape(_one_word(organ.name))
    organs = "|".join((f"{own}s?", *_alternatives(organ.synonyms)))
    many = () if organ.many == f"{organ.name}s" else (_one_word(organ.many),)
    lesions = (lesion.name, *lesion.synonyms)
    known = [word for word in map(_one_word, lesions) if not re.fullmatch(_LESIONS, word)]
    beside = [part for phrase in organ.beside for part in phrase.split()]
    near = [part for phrase in lesion.beside for part in phrase.split()]
    plurals = [f"{word}(e?s)?" for word in known]
    phrases = [name for name in (organ.name, organ.many, *organ.synonyms, *lesions, lesion.many) if " " in name]
    phrases = [name for name in phrases if not _is_understood(name, organ, lesion)]
    return NameWords(
        tumor=_any(_LESIONS, *plurals),
        liver=_any(organs, *many),
        one_lesion=_any(_ONE_LESION, *known),
        of_one=_any(_OF_ONE, f"{own}s?", *many, *beside, *near),
        neutral=_any(_NEUTRAL, *beside, *near, *filter(None, [organ.parts])),
        host=_any(_HOST, organs, *many, *beside),
        without=re.compile(_WITHOUT.replace("{more}", "".join(f"|{word}" for word in known))),
        aside=frozenset((*_ASIDE.split(), _one_word(organ.name), *beside)),
        phrases=tuple(
            (re.compile(r"(?<![a-z])" + r"[\s_-]?".join(name.split()) + r"(?![a-z])"), _one_word(name))
            for name in sorted(phrases, key=len, reverse=True)
        ),
    )


def _is_understood(name: str, organ: Organ, lesion: Lesion) -> bool:
    """Return True for "renal mass": a general word for lesions, and words that may accompany it."""
    beside = {*organ.beside, *lesion.beside, organ.name}
    return all(re.fullmatch(_LESIONS, word) or word in beside for word in name.split())


def _one_word(name: str) -> str:
    return name.replace(" ", "")


def _alternatives(names: tuple[str, ...]) -> list[str]:
    return [re.escape(_one_word(name)) for name in names]


def _any(*patterns: str) -> re.Pattern:
    return re.compile(f"({'|'.join(patterns)})")
