"""Command line options that choose where jobs run."""

from __future__ import annotations

import argparse
import sys

from REACTKDLib.core.job_engines import Engine
from REACTKDLib.core.shard import WHOLE, Shard


def add_engine_arguments(parser: argparse.ArgumentParser, shard: str) -> None:
    """Add --jobs, --dask and --shard. shard: the help text for what part I of N contains."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--jobs", type=int, metavar="N", help="number of processes that work at the same time (default: 1)"
    )
    where.add_argument(
        "--dask",
        default="",
        metavar="ADDRESS",
        help="address of a Dask cluster to use, such as tcp://head:8786; its workers must see the files under the "
        "same paths",
    )
    parser.add_argument("--shard", type=Shard.from_text, default=WHOLE, metavar="I/N", help=f"for a job array: {shard}")


def engine_of(options: argparse.Namespace, apart: bool = False) -> Engine:
    """Return the engine that the options select. apart: see `Engine`. Raises: UsageError."""
    return Engine(jobs_of(options), options.dask, apart)


def add_old_jobs_argument(parser: argparse.ArgumentParser) -> None:
    """Add --workers, the option's name in the last release, hidden from the help."""
    parser.add_argument("--workers", dest="old_jobs", type=int, help=argparse.SUPPRESS)


def jobs_of(options: argparse.Namespace) -> int:
    """Return the number of parallel processes. The old option counts if the new one is not given, with a hint."""
    old = getattr(options, "old_jobs", None)
    if old is not None:
        print("--workers is now --jobs; the old name will be removed in the next release.", file=sys.stderr)
    given = options.jobs if options.jobs is not None else old
    return 1 if given is None else given
