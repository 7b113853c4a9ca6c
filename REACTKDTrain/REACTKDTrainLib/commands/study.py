"""`study --preset smoke|quick|cpu|gpu --output DIR [--cohort ...] [--part methods]`: the paper's experiments.

`study page OUTPUT docs/results/study.md` writes the tables of a finished study into a page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from REACTKDLib.core.engine_arguments import add_engine_arguments, add_old_jobs_argument, engine_of
from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.commands.cohorts_open import add_map_argument
from REACTKDTrainLib.progress import display_for
from REACTKDTrainLib.study.preset_names import PRESETS

#: the options of a study, which `study page` has no use for
OWN = (
    "preset", "output", "cohort", "map", "external", "cache", "part", "arm", "tables", "ready", "jobs", "old_jobs",
    "dask", "shard", "device",
)  # fmt: skip
#: option -> the parts that it is for; the tables of finished runs read those of `READ_AGAIN` too
_HOSPITAL = ("methods", "seeds", "ablation", "external")
PARTS_OF = {
    "arm": ("nodes", "map"),
    "ready": ("nodes", "map"),
    "cohort": _HOSPITAL,
    "external": ("external",),
    "map": _HOSPITAL,
}
READ_AGAIN = ("cohort", "external", "map")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a study, and the subcommand `page`."""
    sizes = "smoke: minutes; quick: two hours of a core; cpu: four hours of two cores; gpu: the full design"
    parser.add_argument("--preset", choices=PRESETS, default="cpu", help=sizes)
    parser.add_argument("--output", type=Path, help="output folder; finished runs are kept")
    parser.add_argument("--cohort", default="", help="graded cases, as in training; by default phantoms")
    add_map_argument(parser)
    parser.add_argument(
        "--external", default="", help="cases of another source for Table IV; their CT must show the whole body"
    )
    parser.add_argument("--cache", type=Path, help="prepared cases and node files, to be shared by studies")
    parser.add_argument("--part", action="extend", nargs="+", help="nodes, methods, seeds, ablation, external, map")
    parser.add_argument("--arm", action="extend", nargs="+", help="node level: shared, independent, shared-0, ...")
    parser.add_argument("--tables", action="store_true", help="only write tables and figures of the finished runs")
    parser.add_argument("--ready", action="store_true", help="node level: use only existing node files")
    add_engine_arguments(
        parser, "compute part I of N of the runs first, then help with the others; all parts use the same --output"
    )
    add_old_jobs_argument(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.set_defaults(usual={name: parser.get_default(name) for name in OWN})
    page = parser.add_subparsers(dest="what", metavar="page").add_parser(
        "page", help="insert the tables of a study into a page"
    )
    page.add_argument("study", type=Path, help="the output folder of a study")
    page.add_argument("page", type=Path, help="a Markdown file with marks <!-- study:table1_ct --> ... <!-- /study -->")


def run(options: argparse.Namespace) -> None:
    """Run the study, or fill a page. Raises: ReactkdError."""
    given = [name for name in OWN if getattr(options, name) != options.usual[name]]
    if options.what == "page":
        if given:
            option = _flag(given[0])
            raise UsageError(f"A page is filled from the study alone, so --{option} has no effect; leave it out.")
        return _fill_page(options)
    if options.output is None:
        raise UsageError("The output folder is missing; name one with --output.")
    _check(options)
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
        engine_of(options),
        options.ready,
        options.shard,
        ",".join(options.map),
        tuple(options.arm or ()),
    )
    with display_for(sys.stdout, "lines") as on_progress:
        results = study.write() if options.tables else study.run(options.part or PARTS, on_progress)
    if results["study"]["meaningless"]:
        print("Everything ran. The sizes are tiny: the numbers mean nothing.")
    print(f"Tables, figures and results.json are in {options.output}.")


def _check(options: argparse.Namespace) -> None:
    """Raise UsageError for incompatible options."""
    from REACTKDTrainLib.cohorts.open_cohort import check_map

    own = [name for name in ("part", "arm", "ready", "jobs", "old_jobs", "dask") if getattr(options, name)]
    own += ["shard"] if options.shard != options.usual["shard"] else []
    if options.tables and own:
        raise UsageError(f"--tables runs nothing, so --{_flag(own[0])} means nothing; leave one of them out.")
    _check_parts(options)
    check_map(",".join(options.map), options.cohort, options.external)


def _check_parts(options: argparse.Namespace) -> None:
    for name in (name for name in PARTS_OF if options.part and getattr(options, name)):
        begun = options.output / "runs"
        done = [part for part in PARTS_OF[name] if name in READ_AGAIN and any((begun / part).glob("*.npz"))]
        if not set(PARTS_OF[name]) & {*options.part, *done}:
            *first, last = PARTS_OF[name]
            parts = f"parts {', '.join(first)} and {last}" if first else f"part {last}"
            raise UsageError(f"--{name} is for the {parts}, which --part leaves out; leave it out too.")


def _flag(name: str) -> str:
    return "workers" if name == "old_jobs" else name


def _fill_page(options: argparse.Namespace) -> None:
    from REACTKDTrainLib.study.page import insert_tables

    for name in insert_tables(options.study, options.page):
        print(f"The study holds no table {name}; the page says so.", file=sys.stderr)
