"""A reader study on a list: while its file is beside the list, the model's result is hidden until a grade is given.

The file holds the seed of the order in which each reader sees the cases; the readings are stored in the review.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import write_text

SCHEMA = "reactkd-study/1"
HIGHEST_SEED = 2**31 - 1
DIFFICULTIES = ("easy", "moderate", "hard")
_DAMAGED = _(
    "The file of the reader study beside the list cannot be read, so answers stay hidden and the order is that of seed "
    "0; start the study again with its seed, or end it."
)


@dataclass(frozen=True)
class Study:
    """A running study. seed: of the order. problem: one sentence if the file is damaged, else empty."""

    seed: int
    problem: str = ""


def read_study(path: Path) -> Study | None:
    """Return the study whose file is at `path`, None if there is none. A damaged file still hides results."""
    try:
        content = parse_json(path.read_bytes())
        seed = content["seed"] if content["schema"] == SCHEMA else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Study(0, _DAMAGED)
    fits = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= HIGHEST_SEED
    return Study(seed) if fits else Study(0, _DAMAGED)


def start_study(path: Path, seed: int) -> None:
    """Start a study, or change the seed of a running one. Raises: OutputNotWritable."""
    write_text(path, json.dumps({"schema": SCHEMA, "seed": seed}) + "\n")


def end_study(path: Path) -> None:
    """End the study; the readings stay in the review. Raises: OutputNotWritable."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputNotWritable(
            _("The study cannot be ended, since its file cannot be removed; remove {name} beside the list."),
            name=path.name,
        ) from error
