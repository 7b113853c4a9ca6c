"""The message for a misunderstood command line: the wrong word, the likely intended one, and where to read more."""

from __future__ import annotations

import pytest

from REACTKDLib.commands.parser import build_parser
from REACTKDLib.core.console import Parser
from REACTKDLib.core.errors import UsageError


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("grade --ct a --segmentatoin b --output c", r"toin \(did you mean --segmentation\?\); '.*grade --help'"),
        ("grade --seg b", r"--seg \(did you mean --segmentation\?\)"),
        ("grade --tracer x --ct a", r"arguments: --tracer; '.*grade --help'"),
        ("grade --ct=a --outptu=b", r"--outptu \(did you mean --output\?\)"),
        ("grade --ct a b --segmentation s --output c", r"arguments: b \(an option takes one value .*grade --help'"),
        ("grade --ct a", "required: --segmentation, --output; '.*grade --help'"),
        ("--versio", r"--versio \(did you mean --version\?\); '\S+( -m \S+)? --help'"),
        ("gade --ct a", "invalid choice: .?gade"),
    ],
)  # fmt: skip
def test_an_unknown_option_is_reported_before_a_missing_one(line, said):
    with pytest.raises(UsageError, match=said):
        build_parser().parse_args(line.split())


def test_words_after_a_command_or_two_dashes_are_not_parsed_as_options():
    parser = Parser(prog="p")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("files", nargs="*")
    assert parser.parse_args(["--whole", "--", "--odd"]).files == ["--odd"]
    outer = Parser(prog="p")
    outer.add_argument("--tables", action="store_true")
    outer.add_subparsers().add_parser("page").add_argument("--put")
    assert outer.parse_args(["--tables", "page", "--put", "x"]).put == "x"
    with pytest.raises(UsageError, match="--putt .did you mean --put.*'p page --help'"):
        outer.parse_args(["page", "--putt", "x"])
