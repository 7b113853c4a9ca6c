"""`release`: the steps by which the shipped student was made; see docs/shipped_student.md."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

STEPS = ("prepared", "extract", "ship", "distill", "page")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The step, and what it takes."""
    parser.add_argument("step", choices=STEPS, help="`release STEP --help` says what a step takes")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the step")


def run(options: argparse.Namespace) -> None:
    """Run the step as a program of its own."""
    sys.argv = [f"release {options.step}", *options.arguments]
    import_module(f"REACTKDTrainLib.release.{options.step}").main()
