"""The command that makes the released model, and the one that prints its tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from REACTKDLib.core.errors import ReactkdError
from REACTKDTrainLib.release import page


def main(arguments: Sequence[str] | None = None) -> int:
    """`release --work FOLDER --output MODEL`, or `release page MODEL`. Returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["page"]:
        return page.main(arguments[1:])
    from REACTKDTrainLib.release.make import release
    from REACTKDTrainLib.release.recipe import PRESETS

    parser = argparse.ArgumentParser(prog="REACTKDTrainLib release", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="keeps every step; run again to go on")
    parser.add_argument("--output", type=Path, required=True, help="the new model folder")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="full", help="'tiny' shows that everything runs")
    parser.add_argument("--model-version", default="0.0.0", help="what the model says of itself")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw and prepare patients")
    options = parser.parse_args(arguments)
    try:
        release(
            PRESETS[options.preset], options.work, options.output, options.model_version, options.workers,
            lambda text: print(text, file=sys.stderr, flush=True),
        )  # fmt: skip
    except ReactkdError as error:
        print(error, file=sys.stderr)
        return 2
    return page.main([str(options.output)])
