"""The paper's experiments by one command.

python -m REACTKDTrainLib.study --preset smoke|quick|cpu|gpu --output DIR [--cohort ...] [--part methods]
python -m REACTKDTrainLib.study page OUTPUT docs/study.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from REACTKDLib.core.console import escape_what_cannot_be_shown
from REACTKDLib.core.errors import ReactkdError
from REACTKDTrainLib.training.faults import explain


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 0 done, 1 a fault, which is one sentence on standard error."""
    escape_what_cannot_be_shown()
    if arguments[:1] == ["page"]:
        return _page(arguments[1:])
    options = _options().parse_args(arguments)
    try:
        from REACTKDTrainLib.study.presets import preset_of
        from REACTKDTrainLib.study.study import PARTS, Study
        from REACTKDTrainLib.training.device import choose_device

        study = Study(
            preset_of(options.preset),
            options.output,
            options.cache,
            options.cohort,
            options.external,
            choose_device(options.device),
            options.workers,
            options.ready,
            lambda line: print(line, flush=True),
        )
        results = study.write() if options.tables else study.run(options.part or PARTS)
    except (ReactkdError, OSError, MemoryError, ModuleNotFoundError) as error:
        print(explain(error, None), file=sys.stderr)
        return 1
    if results["study"]["meaningless"]:
        print("Everything ran. The sizes are tiny: the numbers mean nothing.")
    print(f"Tables, figures and results.json are in {options.output}.")
    return 0


def _options() -> argparse.ArgumentParser:
    from REACTKDTrainLib.study.presets import PRESETS

    parser = argparse.ArgumentParser(prog="REACTKDTrainLib.study", description=__doc__.split("\n")[0])
    parser.add_argument("--preset", choices=PRESETS, default="cpu", help="how large")
    parser.add_argument("--output", type=Path, required=True, help="folder; what an earlier call finished is kept")
    parser.add_argument("--cohort", default="", help="graded cases, as in training; by default phantoms")
    parser.add_argument("--external", default="", help="another source's cases for Table IV, whole fields of view")
    parser.add_argument("--cache", type=Path, help="prepared cases and node files, to be shared by studies")
    parser.add_argument("--part", action="append", help="nodes, methods, seeds, ablation, external; may be repeated")
    parser.add_argument("--tables", action="store_true", help="write tables and figures of what is there, run nothing")
    parser.add_argument("--ready", action="store_true", help="node level: use the node files that are there, make none")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare cases and do runs")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    return parser


def _page(arguments: Sequence[str]) -> int:
    from REACTKDTrainLib.study.page import insert_tables

    parser = argparse.ArgumentParser(prog="REACTKDTrainLib.study page", description="Put a study's tables into a page.")
    parser.add_argument("study", type=Path, help="the output folder of a study")
    parser.add_argument(
        "page", type=Path, help="a Markdown file with marks <!-- study:table1_ct --> ... <!-- /study -->"
    )
    options = parser.parse_args(arguments)
    try:
        missing = insert_tables(options.study, options.page)
    except (ReactkdError, OSError) as error:
        print(explain(error, None), file=sys.stderr)
        return 1
    for name in missing:
        print(f"The study holds no table {name}; the page says so.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
