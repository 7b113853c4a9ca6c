"""`release make --work FOLDER --output MODEL` trains the released model; `release page MODEL` prints its tables, or
writes them into a page; `release hybrids --scans SCANS --output FOLDER` tests a model on lesions simulated in real
scans.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from REACTKDLib.core.engine_arguments import add_old_jobs_argument, jobs_of
from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.progress import display_for

if TYPE_CHECKING:
    from REACTKDTrainLib.release.recipe import ReleaseRecipe

#: of a recipe
SPANS = ("encoder_patients", "train", "validation", "conformal", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands and their options."""
    kinds = parser.add_subparsers(required=True, metavar="KIND")

    make = kinds.add_parser("make", help="generate patients, train, and write a model folder; run again to continue")
    make.add_argument("--work", type=Path, required=True, help="a folder for intermediate results")
    make.add_argument("--output", type=Path, required=True, help="the new model folder")
    make.add_argument(
        "--preset", choices=("full", "quick", "tiny"), default="full", help="'tiny' only tests that everything runs"
    )
    make.add_argument("--model-version", default="0.0.0", help="version in the model's metadata")
    make.add_argument(
        "--patients",
        action="extend",
        nargs="+",
        default=[],
        metavar="PART=FIRST:LAST",
        help="other patients than the preset's, such as train=2500:9500 (the last one is left out). "
        f"Parts: {', '.join(SPANS)}",
    )
    make.add_argument("--jobs", type=int, metavar="N", help="processes that draw and prepare patients (default: 1)")
    add_old_jobs_argument(make)
    make.set_defaults(release=_make)

    page = kinds.add_parser(
        "page", help="print the tables of a model's metadata as Markdown, or insert them into a page"
    )
    page.add_argument("bundle", type=Path, help="the model folder")
    page.add_argument(
        "page",
        type=Path,
        nargs="?",
        help="a Markdown file with marks <!-- release:NAME --> ... <!-- /release -->, where NAME is summary, made, "
        "auc, gains, masks, sets or deciding",
    )
    page.set_defaults(release=_page)

    hybrids = kinds.add_parser(
        "hybrids",
        help="draw simulated lesions into real scans, and report how well a model grades them",
        description="Draws lesions of known biology into real scans with a liver mask and into digital phantoms, "
        "grades all, and reports the differences. No image is written to the output; --work keeps the prepared ones.",
    )
    hybrids.add_argument(
        "--scans", required=True, help="cases with a CT and masks: a folder, a datalist (.json) or a worklist (.csv)"
    )
    hybrids.add_argument("--bundle", type=Path, metavar="DIR", help="the model folder; by default the shipped one")
    hybrids.add_argument("--output", type=Path, required=True, help="folder for hybrids.json and hybrids.md")
    hybrids.add_argument(
        "--work",
        type=Path,
        help="folder for the prepared scans, which are reused (default: the folder work in the output)",
    )
    hybrids.add_argument("--lesions", type=int, default=40, metavar="N", help="patients' lesions for each scan (40)")
    hybrids.add_argument("--first", type=int, default=0, metavar="N", help="the first of their numbers (0)")
    hybrids.add_argument("--phantoms", type=int, default=3, metavar="N", help="phantoms beside the scans (3)")
    hybrids.add_argument("--page", type=Path, metavar="FILE", help="a page with marks <!-- hybrids:NAME --> to fill")
    hybrids.add_argument("--jobs", type=int, metavar="N", help="processes that draw and prepare (default: 1)")
    add_old_jobs_argument(hybrids)
    hybrids.set_defaults(release=_hybrids)


def run(options: argparse.Namespace) -> None:
    """Run the command. Raises: ReactkdError."""
    options.release(options)


def with_patients(recipe: ReleaseRecipe, given: Sequence[str]) -> ReleaseRecipe:
    """Return the recipe with other ranges of patients. given: 'train=2500:9500'. Raises: UsageError, also if ranges
    overlap that must be disjoint.
    """
    spans: dict[str, tuple[int, int]] = {}
    for text in given:
        found = re.fullmatch(r"(\w+)=(\d+):(\d+)", text)
        least = 0 if text.startswith("encoder_patients=") else 1  # an empty range omits the encoder
        if found is None or found[1] not in SPANS or int(found[3]) - int(found[2]) < least:
            raise UsageError(f"{text!r} names no patients; give PART=FIRST:LAST, with a part of {', '.join(SPANS)}.")
        if found[1] in spans:
            raise UsageError(f"The command names the patients of {found[1]} twice; leave one.")
        spans[found[1]] = int(found[2]), int(found[3])
    recipe = replace(recipe, **spans)
    apart = [name for name in SPANS if name != "encoder_patients"]
    pairs = [*combinations(apart, 2), *(("encoder_patients", name) for name in apart if name != "train")]
    for a, b in pairs:
        (first, last), (other, end) = getattr(recipe, a), getattr(recipe, b)
        if max(first, other) < min(last, end):
            raise UsageError(
                f"The patients of {a} and of {b} overlap; nobody may be asked about whom they learned from."
            )
    return recipe


def _make(options: argparse.Namespace) -> None:
    from REACTKDTrainLib.release.card import tables_of
    from REACTKDTrainLib.release.make import release
    from REACTKDTrainLib.release.recipe import PRESETS

    recipe = with_patients(PRESETS[options.preset], options.patients)
    with display_for(sys.stderr) as on_progress:
        bundle = release(recipe, options.work, options.output, options.model_version, jobs_of(options), on_progress)
    print(tables_of(bundle.info["evaluation"]))
    print(f"Wrote the model into {options.output}.", file=sys.stderr)


def _page(options: argparse.Namespace) -> None:
    from REACTKDLib.core.student.bundle import Bundle
    from REACTKDTrainLib.release.card import page_texts, tables_of
    from REACTKDTrainLib.results.pages import fill_page

    about = Bundle.load(options.bundle).info
    if "subsets" not in (about.get("evaluation") or {}):
        text = "The model folder '{name}' holds no tables; give one that release make has made, not that of a training."
        raise UsageError(text, name=options.bundle.name)
    if options.page is None:
        print(tables_of(about["evaluation"]))
        return
    for name in fill_page(options.page, "release", page_texts(about)):
        print(f"The model holds no table {name}; the page says so.", file=sys.stderr)


def _hybrids(options: argparse.Namespace) -> None:
    from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
    from REACTKDLib.core.writing.atomic import write_text
    from REACTKDTrainLib.cohorts.open_cohort import open_cohort
    from REACTKDTrainLib.release.hybrid_page import TABLES, hybrid_page, hybrid_texts
    from REACTKDTrainLib.release.hybrids import HybridSettings, evaluate_hybrids
    from REACTKDTrainLib.results.pages import check_page, fill_page

    if options.page is not None:
        check_page(options.page, "hybrids", TABLES)
    bundle = Bundle.load(options.bundle or shipped_bundle_folder())
    settings = HybridSettings(options.lesions, options.first, options.phantoms)
    scans, work = open_cohort(options.scans).cases, options.work or options.output / "work"
    with display_for(sys.stderr) as on_progress:
        found = evaluate_hybrids(bundle, scans, work, settings, jobs_of(options), on_progress)
    options.output.mkdir(parents=True, exist_ok=True)
    write_text(options.output / "hybrids.json", json.dumps(found, indent=2) + "\n")
    text = hybrid_page(found)
    write_text(options.output / "hybrids.md", text)
    if options.page is not None:
        fill_page(options.page, "hybrids", hybrid_texts(found))
    print(text)
