"""Review files: readable parts are kept, and saving always works."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

from fuzz.mutations import damaged_json, json_bytes
from fuzz.targets import Wrong
from REACTKDLib.core.review.review import SCHEMA, Review

AT = "2026-01-01T00:00:00Z"
TOLD = {
    "schema": SCHEMA,
    "revision": 4,
    "writer": "abc",
    "cases": {
        name: {
            "state": "reviewed",
            "answer": {
                "grade": "well",
                "probabilities": {"well": 0.6, "moderate": 0.3, "poor": 0.1},
                "uncertain": False,
                "inputs": ["ct"],
                "device": "cpu",
                "outdated": False,
                "findings": [{"code": "coarse-pixels", "severity": "warning", "message": "Coarse."}],
                "model": {"name": "m", "version": "1", "sha256": "0" * 64},
                "at": AT,
            },
            "failure": None,
            "reader": {"grade": "moderate", "at": AT},
            "reviewed": {"at": AT},
            "masks": {"file": f"{name}.seg.nrrd", "at": AT},
            "comment": {"text": "seen", "at": AT},
            "readers": {
                "Anna": {
                    "reader": {"grade": "poor", "at": AT},
                    "difficulty": {"level": "hard", "at": AT},
                    "unaided": {"grade": "well", "seconds": 12.5, "place": 1, "seed": 7, "at": AT},
                    "aided": {"grade": "poor", "seconds": 3, "at": AT},
                }
            },
            "superseded": [{"part": "reader", "value": {"grade": "well", "at": AT}}],
        }
        for name in ("a", "b")
    },
}


def prepare(folder: Path) -> None:
    """Nothing to prepare."""


def make(rng: Random, folder: Path) -> Path:
    """Corrupt a review of two cases."""
    path = folder / "list.review.reactkd.json"
    path.write_bytes(json_bytes(damaged_json(TOLD, rng), rng))
    return path


def replay(file: Path, folder: Path) -> Path:
    """A review of a past failure."""
    return Path(shutil.copy(file, folder))


def ask(path: Path) -> str:
    """Open it, set a mark, and check that the mark and every other part are read back."""
    before = path.read_bytes()
    review = Review(path)
    known = {name: record.to_dict() for name, record in review.cases.items()}
    for record in review.cases.values():
        seen = record.seen_by("Anna")
        seen.state, seen.reader_grade, record.confidence  # noqa: B018 - what the panel's table asks
    saved = review.update("new", reader={"grade": "poor"})
    if not saved:
        if path.read_bytes() != before:
            raise Wrong("a file that is not to be changed was changed")
        return "of a later version"
    again = Review(path)
    if again.of("new").reader_grade != "poor":
        raise Wrong("the mark was not saved")
    lost = [name for name, record in known.items() if again.of(name).to_dict() != record and name != "new"]
    if lost:
        raise Wrong(f"saving changed what was known of {lost}")
    json.dumps(known)
    return f"{len(known)} cases"
