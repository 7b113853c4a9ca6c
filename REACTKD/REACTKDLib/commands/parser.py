"""The arguments of every command; a usage error is one sentence, like any other error."""

from __future__ import annotations

from REACTKDLib import __version__
from REACTKDLib.commands import batch, check, grade, phantom, prepare
from REACTKDLib.core.console import Parser, program

COMMANDS = (grade, batch, check, prepare, phantom)


def build_parser() -> Parser:
    """Return the parser; `parse_args(...).run` is the function of the chosen command."""
    parser = Parser(
        prog=program("reactkd", "REACTKDLib"),
        description="Grades hepatocellular carcinoma from CT and PET and shows which regions determined the grade. "
        "The shipped model is trained on digital phantoms. It is not for clinical use.",
        epilog="The exit status is 0 on success, 2 after an error (one sentence on standard error), 4 after a batch in "
        "which some cases failed, and 130 after Ctrl-C.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"REACTKD {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser
