"""`release make --work FOLDER --output MODEL` makes the released model; `release page MODEL` prints its tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from REACTKDTrainLib.progress import display_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is to be done, and its options."""
    kinds = parser.add_subparsers(required=True, metavar="KIND")

    make = kinds.add_parser("make", help="from drawn patients to a model folder with its card; run again to go on")
    make.add_argument("--work", type=Path, required=True, help="a folder that keeps every step")
    make.add_argument("--output", type=Path, required=True, help="the new model folder")
    make.add_argument(
        "--preset", choices=("full", "quick", "tiny"), default="full", help="'tiny' shows that everything runs"
    )
    make.add_argument("--model-version", default="0.0.0", help="what the model says of itself")
    make.add_argument("--workers", type=int, default=1, help="processes that draw and prepare patients")
    make.set_defaults(release=_make)

    page = kinds.add_parser("page", help="print the tables of a model's metadata as Markdown")
    page.add_argument("bundle", type=Path, help="the model folder")
    page.set_defaults(release=_page)


def run(options: argparse.Namespace) -> None:
    """Do it. Raises: ReactkdError."""
    options.release(options)


def _make(options: argparse.Namespace) -> None:
    from REACTKDTrainLib.release.card import tables_of
    from REACTKDTrainLib.release.make import release
    from REACTKDTrainLib.release.recipe import PRESETS

    recipe = PRESETS[options.preset]
    with display_for(sys.stderr) as on_progress:
        bundle = release(recipe, options.work, options.output, options.model_version, options.workers, on_progress)
    print(tables_of(bundle.info["evaluation"]))


def _page(options: argparse.Namespace) -> None:
    from REACTKDLib.core.student.bundle import METADATA
    from REACTKDLib.core.student.bundle_metadata import read_metadata
    from REACTKDTrainLib.release.card import tables_of

    print(tables_of(read_metadata(options.bundle / METADATA)["reactkd"]["evaluation"]))
