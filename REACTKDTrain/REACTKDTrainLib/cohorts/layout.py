"""What a layout of folders is, and which one a folder has.

A new layout is one file in `cohorts/layouts` that holds a `LAYOUT`; nothing else names it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.cohorts import layouts
from REACTKDTrainLib.cohorts.clinical import Mixed
from REACTKDTrainLib.cohorts.survey import Survey
from REACTKDTrainLib.cohorts.tace_scan import Phase

Pairs = Literal["separate", "joined"]
Missing = Literal["keep", "leave-out"]


@dataclass(frozen=True)
class LayoutOptions:
    """Choices that change which cases there are; each layout reads its own (`Layout.reads`), and says in its survey
    what it did.

    Hospital: pairs: one case of each tracer's PET/CT, or of both where their CTs lie on one grid. grades: folder name
    -> 'well', 'moderate' or 'poor', where the names do not say it.
    HCC-TACE-Seg: mixed: what becomes of 'Well-moderately' and 'Moderately-poorly differentiated'. missing: 'keep'
    patients without a grade as unlabeled cases, or 'leave-out'. phase: of a series that holds several, the one to take.
    sheet: the clinical workbook; None looks for it below the folder. names: PatientID -> 'HCC_048', where a copy was
    renamed.
    """

    pairs: Pairs = "separate"
    grades: Mapping[str, str] = field(default_factory=dict)
    mixed: Mixed = "exclude"
    missing: Missing = "keep"
    phase: Phase = "portal-venous"
    sheet: Path | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of those that are not as usual."""
        return tuple(own.name for own in fields(self) if getattr(self, own.name) != getattr(AS_IT_IS, own.name))


AS_IT_IS = LayoutOptions()
#: what a command calls those that it calls otherwise
_FLAGS = {"grades": "grade", "names": "patient"}


@dataclass(frozen=True)
class Layout:
    """A way in which a data set lies in a folder.

    holds: what such a folder holds, for the sentence about a folder that no layout recognizes. recognize: True for a
    folder of this layout; quick, and False for what it cannot read. survey: finds the cases, and says what is wrong.
    rank: layouts are asked in this order; the more a folder must hold to be recognized, the lower. reads: the names of
    those `LayoutOptions` that it looks at; all others are refused for such a folder.

    Example, a whole file of `cohorts/layouts`:
        >>> LAYOUT = Layout("scans.csv and a folder of scans (mine)", is_mine, survey_mine)
    """

    holds: str
    recognize: Callable[[Path], bool]
    survey: Callable[[Path, LayoutOptions, OnProgress], Survey]
    rank: int = 5
    reads: tuple[str, ...] = ()


@cache
def known_layouts() -> tuple[Layout, ...]:
    """The layouts of all files in `cohorts/layouts`, in the order in which they are asked."""
    modules = (import_module(f"{layouts.__name__}.{found.name}") for found in pkgutil.iter_modules(layouts.__path__))
    return tuple(sorted((module.LAYOUT for module in modules), key=lambda layout: layout.rank))


def layout_of(folder: Path) -> Layout | None:
    """The layout that a folder has; None for one that is not known."""
    return next((layout for layout in known_layouts() if layout.recognize(folder)), None)


def check_options(layout: Layout | None, chosen: Collection[str]) -> None:
    """Raise UsageError for an option that nothing reads of such a folder, and say which folders it is for.

    layout: None for lists and folders of case folders. chosen: names of `LayoutOptions` that somebody gave.
    """
    reads = () if layout is None else layout.reads
    for name in chosen:
        if name not in reads:
            holds = " or ".join(own.holds for own in known_layouts() if name in own.reads)
            flag = _FLAGS.get(name, name)
            raise UsageError(f"The option --{flag} is for a folder that holds {holds}, and this is none; leave it out.")


def survey_folder(
    folder: Path, options: LayoutOptions = AS_IT_IS, on_progress: OnProgress = no_progress
) -> Survey | None:
    """Survey a folder in a layout that is known; None for any other.

    Raises: UsageError for an option that is not read of it, see `check_options`; what the layout's reader raises.
    """
    found = layout_of(folder)
    check_options(found, options.chosen)
    return None if found is None else found.survey(folder, options, on_progress)
