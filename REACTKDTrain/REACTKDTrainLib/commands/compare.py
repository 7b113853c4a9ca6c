"""Compare two finished runs, two methods trained for the comparison, or students on node vectors; and check whether
explanations identify the deciding lesion.

compare runs RUN_A RUN_B [--inputs ct] [--cases external]
compare methods --output DIR [--cohort ...] [--external ...] [--page PAGE]
compare nodes --nodes DIR --output FILE.json [--page PAGE]
compare explanations --output FILE.json [--cases N] [--page PAGE]

All differences are paired: both sides predict the same held-out cases. An interrupted comparison resumes with the same
command.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.sizes import SIZES
from REACTKDTrainLib.commands.cohorts_open import add_map_argument
from REACTKDTrainLib.progress import display_for
from REACTKDTrainLib.results.pages import check_page, fill_page

#: groups of the markers that enclose a table on a page: <!-- comparison:methods -->, <!-- explanations:questions -->
GROUP, EXPLANATIONS = "comparison", "explanations"
#: option of `compare nodes` -> its default
NODES: dict[str, Any] = {
    "cohort": "phantom:hospital",
    "test": "phantom:large?cases=2000&first=0",
    "folds": 3,
    "seeds": [0, 1, 2],
    "steps": 150,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the comparisons and their options."""
    kinds = parser.add_subparsers(required=True, metavar="KIND")

    runs = kinds.add_parser("runs", help="two finished runs: a table with a line for each set of images")
    runs.add_argument("run_a", type=Path, help="the output folder of the first run")
    runs.add_argument("run_b", type=Path, help="the output folder of the second run")
    runs.add_argument(
        "--inputs",
        nargs="+",
        help="such as ct+fdg (default: ct, fdg+acetate and ct+fdg+acetate, if both predicted them)",
    )
    runs.add_argument(
        "--cases", choices=("external", "folds"), default="external", help="which unseen cases to compare on"
    )
    runs.add_argument("--json", action="store_true", help="print a line of JSON for each instead of the table")
    runs.set_defaults(compare=_runs)

    methods = kinds.add_parser("methods", help="train with distillation and without in the same folds, and compare")
    methods.add_argument("--output", type=Path, required=True, help="the folder of both runs and of the comparison")
    methods.add_argument("--cohort", default="phantom:hospital?size=small", help="training cohort of both runs")
    add_map_argument(methods)
    methods.add_argument("--external", default="phantom:large?cases=500&size=small", help="test cohort of both runs")
    methods.add_argument("--config", type=Path, help="a JSON file of settings for both")
    methods.add_argument("--folds", type=int, default=0, help="default: the number in the settings, else 3")
    methods.add_argument("--page", type=Path, help="a Markdown page to insert the table into")
    methods.set_defaults(compare=_methods)

    nodes = kinds.add_parser("nodes", help="students on stored node vectors: none, logits, logits with region graphs")
    nodes.add_argument("--nodes", type=Path, help="folder for the node vectors; needed if there are no results yet")
    nodes.add_argument(
        "--output",
        type=Path,
        required=True,
        help="a .json file; the table is written beside it as .md; an existing one is reused for --page",
    )
    # no default in the parser, so that an option that was given is known
    nodes.add_argument("--cohort", help=f"graded cases to train on (default: {NODES['cohort']})")
    add_map_argument(nodes)
    nodes.add_argument("--test", help=f"unseen graded cases (default: {NODES['test']})")
    nodes.add_argument("--folds", type=int, help=f"default: {NODES['folds']}")
    nodes.add_argument("--seeds", type=int, nargs="+", help=f"default: {' '.join(map(str, NODES['seeds']))}")
    nodes.add_argument("--steps", type=int, help=f"training steps of each student (default: {NODES['steps']})")
    nodes.add_argument("--page", type=Path, help="a Markdown page to insert the table into")
    nodes.add_argument("--made-only", action="store_true", help="test only on cases with existing node vectors")
    nodes.set_defaults(compare=_nodes)

    explanations = kinds.add_parser(
        "explanations", help="a model's explanation with the deciding lesion, on unseen phantoms"
    )
    explanations.add_argument(
        "--cases", type=int, default=60, help="number of phantoms of the cohort 'large' (default 60)"
    )
    explanations.add_argument("--first", type=int, default=0, help="seed of the first phantom (default 0)")
    explanations.add_argument(
        "--biology", choices=("independent", "shared"), default="shared", help="biology of the phantoms"
    )
    explanations.add_argument("--size", choices=tuple(SIZES), default="full", help="size of the phantoms")
    explanations.add_argument("--bundle", type=Path, metavar="DIR", help="the model folder; by default the shipped one")
    explanations.add_argument(
        "--output", type=Path, required=True, help="a .json file; the table is written beside it as .md"
    )
    explanations.add_argument("--page", type=Path, help="a Markdown page to insert the table into")
    explanations.set_defaults(compare=_explanations)


def run(options: argparse.Namespace) -> None:
    """Run the comparison. Raises: ReactkdError."""
    options.compare(options)


def _runs(options: argparse.Namespace) -> None:
    from REACTKDTrainLib.study import compare_runs

    found = []
    chosen = options.inputs or compare_runs.inputs_in_common(options.run_a, options.run_b, options.cases)
    with display_for(sys.stderr) as on_progress:
        for number, inputs in enumerate(chosen):
            on_progress(number / len(chosen), inputs)
            found.append(compare_runs.compare_runs(options.run_a, options.run_b, inputs, options.cases))
    print("\n".join(map(json.dumps, found)) if options.json else compare_runs.table_of(found), flush=True)


def _methods(options: argparse.Namespace) -> None:
    if options.page:
        check_page(options.page, GROUP, ["methods"])
    from REACTKDTrainLib.study import compare_methods  # imports PyTorch, which takes seconds

    compared = compare_methods.ComparedMethods(
        options.cohort, options.external, options.output, options.config, options.folds, ",".join(options.map)
    )
    with display_for(sys.stderr, "lines") as on_progress:
        text = compare_methods.page(compared.run(on_progress))
    if options.page:
        fill_page(options.page, GROUP, {"methods": text})
    print(text)


def _nodes(options: argparse.Namespace) -> None:
    if options.page:
        check_page(options.page, GROUP, ["nodes"])
    if options.page and options.output.is_file():  # results exist already
        for name in ("nodes", *NODES, "map", "made_only"):
            if getattr(options, name) not in (None, False, []):
                raise UsageError(
                    f"The results are in {options.output.name} already, so --{name.replace('_', '-')} has no effect; "
                    "leave it out, or name another file with --output."
                )
    elif options.nodes is None:
        raise UsageError("The folder for the node vectors is missing; name one with --nodes.")
    from REACTKDTrainLib.study import compare_nodes  # imports PyTorch, which takes seconds

    if options.page and options.output.is_file():
        found = parse_json(options.output.read_text(encoding="utf-8"))
    else:
        given = {name: getattr(options, name) for name in NODES}
        chosen = (usual if given[name] is None else given[name] for name, usual in NODES.items())
        with display_for(sys.stderr, "lines") as on_progress:
            found = compare_nodes.compare_cohorts(
                options.nodes, *chosen, options.made_only, on_progress, ",".join(options.map)
            )
        write_text(options.output, json.dumps(found, indent=1))
        write_text(options.output.with_suffix(".md"), compare_nodes.page(found) + "\n")
    if options.page:
        fill_page(options.page, GROUP, {"nodes": compare_nodes.page(found)})
    print(compare_nodes.page(found))


def _explanations(options: argparse.Namespace) -> None:
    from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
    from REACTKDTrainLib.cohorts.phantom import phantom_case
    from REACTKDTrainLib.study.explanation_checks import measure, page

    if options.page:
        check_page(options.page, EXPLANATIONS, ["questions"])
    bundle = Bundle.load(options.bundle or shipped_bundle_folder())
    numbers = range(options.first, options.first + options.cases)
    drawn = [phantom_case("large", n, options.size, biology=options.biology) for n in numbers]
    latents = [case.truth["shared"] for case in drawn] if options.biology == "shared" else ()
    with display_for(sys.stderr, "lines") as on_progress:
        cases = (case.load() for case in drawn)
        found = measure(bundle, cases, lambda n: on_progress(n / len(drawn), f"case {n} of {len(drawn)}"), latents)
    write_text(options.output, json.dumps(found, indent=1) + "\n")
    write_text(options.output.with_suffix(".md"), page(found) + "\n")
    if options.page:
        fill_page(options.page, EXPLANATIONS, {"questions": page(found)})
    print(page(found))
