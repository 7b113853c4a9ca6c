"""Interpretation of the grades of a list: class names of the task, other words or numbers, or a mapping by the user."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import quoted, shown
from REACTKDTrainLib.cohorts.bad_cells import NOTHING, cases_with

_NO_GRADE = ("", *NOTHING)
_SEPARATOR = re.compile(r"[,;]")
_NOT_IN_PAIR = re.compile(r"[,;=]")


@dataclass(frozen=True)
class GradeWords:
    """meanings: {"G1": "well"}, in addition to the names, other words and numbers (from 0) of the task's classes.

    Letter case and spaces are ignored. If a number is mapped, unmapped numbers are no longer valid: in a list of grades
    1 to 3, a 0 is an error.

    Example:
        >>> GradeWords.from_text("G1=well,G3=poor").grade("g3", "case 7")
        2
    """

    meanings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_text(cls, *texts: str) -> GradeWords:
        """Read 'G1=well,G2=moderate', as given in an option. Raises: UsageError."""
        pairs = [pair for text in texts for pair in _SEPARATOR.split(text) if pair.strip()]
        for pair in pairs:
            if pair.count("=") != 1 or not all(map(str.strip, pair.split("="))):
                raise UsageError("{given} is not written as TEXT=CLASS; correct it.", given=repr(pair))
        return cls(_once(pair.split("=") for pair in pairs))

    @classmethod
    def of_list(cls, value: Any) -> GradeWords:
        """Read the object "grades" of a datalist; None means no mapping. Raises: UsageError."""
        if value is not None and not isinstance(value, dict):
            raise UsageError('"grades" of the datalist is no object; write what each grade means, as {"G1": "well"}.')
        return cls(_once((str(text), str(name)) for text, name in (value or {}).items()))

    def with_list(self, value: Any) -> GradeWords:
        """Return these combined with those of a datalist. Raises: UsageError, also for a text with two classes."""
        return GradeWords(_once([*self.of_list(value).meanings.items(), *self.meanings.items()]))

    def checked(self, task: Task) -> GradeWords:
        """Return self if all meanings are classes of the task. Raises: UsageError for another word, or one already in
        use.
        """
        known = _words_of(task)
        for text, name in self.meanings.items():
            if _plain(name) not in known:
                raise UsageError(f"The grade {quoted([text])} is mapped to {quoted([name])}; give {_choices(task)}.")
            own = known.get(text)
            if own is not None and not text.isdigit() and own != known[_plain(name)]:
                raise UsageError(
                    f"The grade {quoted([text])} is a class of its own and mapped to another; take it out of the map."
                )
        return self

    def grade(self, value: Any, case: str, task: Task = HCC_GRADE) -> int | None:
        """Return the class index of 'well', 'moderate', 'poor', 0, 1, 2 ('2.0' too) or a mapped text; None for an empty
        value.

        task: another task has its own classes. Raises: UsageError.
        """
        self.check_grades([(case, value)], task)
        text = _plain(value)
        if text in self.meanings:
            return _words_of(task)[_plain(self.meanings[text])]
        return None if text in _NO_GRADE else _words_of(task)[text]

    def check_grades(self, values: Iterable[tuple[str, Any]], task: Task = HCC_GRADE) -> None:
        """Check the grades of a list: each is accepted by `grade`. values: (name of the case, grade).

        Raises: UsageError, which names all grades that are not.
        """
        self.checked(task)
        known = {*_NO_GRADE, *self.meanings, *_words_of(task)}
        numbered = any(map(str.isdigit, self.meanings))
        if numbered:
            known -= {word for word in known if word.isdigit() and word not in self.meanings}
        wrong = [(case, value) for case, value in values if _plain(value) not in known]
        if not wrong:
            return
        text = f"{cases_with('grade', wrong)}; give {_choices(task, not numbered)}"
        words = list(dict.fromkeys(_plain(value) for _case, value in wrong if isinstance(value, str)))
        free = [name for name in task.class_names if _plain(name) not in map(_plain, self.meanings.values())]
        # a word that is cut off, or holds a separator, could not be given in the option
        writable = [word for word in words if word == shown(word, 80) and not _NOT_IN_PAIR.search(word)]
        if writable and free:
            it = "it means" if len(words) == 1 else "each means"
            how = f"say what {it} too, such as" if self.meanings else f"say what {it}, such as --map"
            text += f", or {how} {shlex.quote(f'{writable[0]}={free[0]}')}"
        raise UsageError(f"{text}.")


#: no mapping
OWN_WORDS = GradeWords()


def _once(pairs: Iterable[Iterable[str]]) -> dict[str, str]:
    """Return normalized texts -> classes. Raises: UsageError for a text with two classes."""
    out: dict[str, str] = {}
    for text, name in pairs:
        text, name = _plain(text), name.strip()
        if _plain(out.setdefault(text, name)) != _plain(name):
            raise UsageError(f"The grade {quoted([text])} is mapped to two classes; leave one.")
    return out


def _plain(value: Any) -> str:
    """Normalize a grade for comparison: lower case, whole numbers without a decimal point."""
    text = unicodedata.normalize("NFKC", str("" if value is None else value)).strip().lower()
    whole = re.fullmatch(r"\+?0*(\d)([.,]0*)?", text)
    return whole[1] if whole else text


def _words_of(task: Task) -> dict[str, int]:
    known = {word: n for n, one in enumerate(task.classes) for word in (one.name.lower(), *one.synonyms)}
    return {str(n): n for n in range(len(task.classes))} | known


def _choices(task: Task, numbers: bool = True) -> str:
    *before, last = task.class_names
    named = f"{', '.join(before)} or {last}"
    return f"{named} (or {', '.join(str(n) for n in range(len(task.classes)))})" if numbers else named
