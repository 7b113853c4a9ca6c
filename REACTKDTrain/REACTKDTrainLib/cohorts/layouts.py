"""Which layout a folder has, asked of each loader in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from REACTKDLib.core.progress import OnProgress
from REACTKDTrainLib.cohorts.case_folders import has_case_folders
from REACTKDTrainLib.cohorts.grouped import is_grouped, survey_grouped
from REACTKDTrainLib.cohorts.hcc_tace import TaceOptions, is_hcc_tace, survey_hcc_tace
from REACTKDTrainLib.cohorts.hospital import Pairs, is_hospital, survey_hospital
from REACTKDTrainLib.cohorts.lits import is_lits, survey_lits
from REACTKDTrainLib.cohorts.survey import Survey


@dataclass(frozen=True)
class LayoutOptions:
    """pairs, grades: of the published layouts, see `survey_hospital`. tace: of HCC-TACE-Seg."""

    pairs: Pairs = "separate"
    grades: Mapping[str, str] = field(default_factory=dict)
    tace: TaceOptions = TaceOptions()


def survey_folder(
    folder: Path, options: LayoutOptions = LayoutOptions(), on_progress: OnProgress | None = None
) -> Survey | None:
    """Survey a folder in a layout that is known; None for any other. Raises: what the layout's reader raises."""
    if is_hospital(folder):
        return survey_hospital(folder, options.pairs, options.grades)
    if is_grouped(folder):
        return survey_grouped(folder, options.grades)
    if is_lits(folder):
        return survey_lits(folder, on_progress)
    if is_hcc_tace(folder) and not has_case_folders(folder):
        return survey_hcc_tace(folder, options.tace, on_progress)
    return None
