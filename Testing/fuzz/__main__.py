"""`python -m fuzz --inputs 2000 --seed 0 --minutes 10`: exit status 0 if every input was read correctly or refused."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from fuzz.driver import GOOD, Counts, questions, run
from fuzz.targets import SHARES


def main() -> int:
    """Run, and print the counts and every failure with the seed that reproduces it."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=2000, help="how many, in all (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first input of each target (default 0)")
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after these (default 10)")
    parser.add_argument("--targets", nargs="+", choices=list(SHARES), default=list(SHARES), help="which readers")
    parser.add_argument("--output", type=Path, default=Path("build/fuzz"), help="folder for inputs that failed")
    parser.add_argument("--processes", type=int, default=2, help="how many at a time (default 2)")
    parser.add_argument("--no-corpus", action="store_true", help="leave out what once failed")
    arguments = parser.parse_args()
    begin = time.monotonic()
    todo = list(questions(arguments.inputs, arguments.seed, arguments.targets, not arguments.no_corpus))
    print(f"{len(todo)} inputs, seeds from {arguments.seed}", flush=True)
    counts = run(todo, begin + 60 * arguments.minutes, arguments.processes, arguments.output)
    _show(counts, time.monotonic() - begin, arguments.output)
    if counts.total < len(todo):
        print(f"The time was up after {counts.total} of {len(todo)} inputs.")
    return 0 if counts.total and not counts.failures else 1


def _show(counts: Counts, seconds: float, output: Path) -> None:
    found = sum(counts.verdicts.values(), Counter())
    columns = [*GOOD, *sorted(set(found) - set(GOOD))]
    print(f"{'':16}" + "".join(f"{column:>12}" for column in columns))
    for name, counter in (*counts.verdicts.items(), ("all", found)):
        if counter:
            print(f"{name:16}" + "".join(f"{counter[column]:12d}" for column in columns))
    print(f"{counts.total} inputs in {seconds:.0f} s; slowest {counts.slowest_s:.1f} s; peak {counts.peak_mb} MB")
    for name, which, verdict, text in counts.failures:
        print(f"\n{verdict}: {name} {which}\n  " + text.replace("\n", "\n  "))
    if counts.failures:
        print(f"\n{len(counts.failures)} failed; their inputs are in {output}.")


if __name__ == "__main__":
    sys.exit(main())
