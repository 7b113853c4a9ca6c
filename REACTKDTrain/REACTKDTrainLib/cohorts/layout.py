"""Folder layouts of data sets, and recognition of the layout of a folder.

A new layout is one file in `cohorts/layouts` that defines a `LAYOUT`; it is found automatically.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
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
    """Options that determine the cases of a folder; each layout reads its own (`Layout.reads`) and reports in its
    survey what it did.

    Hospital: pairs: one case for each tracer's PET/CT, or one for both if their CTs have the same grid. grades: folder
    name -> 'well', 'moderate' or 'poor', for names that do not state the grade. HCC-TACE-Seg: mixed: handling of
    'Well-moderately' and 'Moderately-poorly differentiated'. missing: 'keep' patients without a grade as unlabeled
    cases, or 'leave-out'. phase: the contrast phase to use if a series contains several. sheet: the clinical workbook;
    None searches for it below the folder. names: PatientID -> 'HCC_048', for a renamed copy.
    """

    pairs: Pairs = "separate"
    grades: Mapping[str, str] = field(default_factory=dict)
    mixed: Mixed = "exclude"
    missing: Missing = "keep"
    phase: Phase = "portal-venous"
    sheet: Path | None = None
    names: Mapping[str, str] = field(default_factory=dict)


AS_IT_IS = LayoutOptions()
#: names of options on the command line, if they differ
_FLAGS = {"grades": "grade", "names": "patient"}


@dataclass(frozen=True)
class Layout:
    """The folder layout of a data set.

    holds: contents of such a folder, for the message about a folder that no layout recognizes. recognize: returns True
    for a folder of this layout; fast, and False for anything unreadable. survey: finds the cases and reports problems.
    rank: layouts are tried in this order; the more specific the layout, the lower. reads: the names of the
    `LayoutOptions` that it uses; all others are refused for such a folder.

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
    """Return the layouts of all files in `cohorts/layouts`, in the order in which they are tried."""
    modules = (import_module(f"{layouts.__name__}.{found.name}") for found in pkgutil.iter_modules(layouts.__path__))
    return tuple(sorted((module.LAYOUT for module in modules), key=lambda layout: layout.rank))


def layout_of(folder: Path) -> Layout | None:
    """Return the layout of a folder; None if it is not recognized."""
    return next((layout for layout in known_layouts() if layout.recognize(folder)), None)


def check_options(layout: Layout | None, chosen: Collection[str]) -> None:
    """Raise UsageError for an option that is not used for such a folder, and name the folders that it is for.

    layout: None for lists and folders of case folders. chosen: names of the `LayoutOptions` that were given.
    """
    reads = () if layout is None else layout.reads
    for name in chosen:
        if name not in reads:
            holds = " or ".join(own.holds for own in known_layouts() if name in own.reads)
            flag = _FLAGS.get(name, name)
            raise UsageError(f"The option --{flag} is for a folder that holds {holds}, and this is none; leave it out.")


def survey_folder(folder: Path) -> Survey | None:
    """Survey a folder with a known layout, with default options; None for any other. Raises: those of its reader."""
    found = layout_of(folder)
    return None if found is None else found.survey(folder, AS_IT_IS, no_progress)
