"""Validation of JSON files against their schemas."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema


@cache
def validator(schema: Path) -> jsonschema.protocols.Validator:
    """Return a validator for the schema in this file, by its own draft; the schema itself is checked once.

    `jsonschema.validate` would check it in every call, which takes 30 ms.
    """
    data: dict[str, Any] = json.loads(schema.read_text(encoding="utf-8"))
    kind = jsonschema.validators.validator_for(data)
    kind.check_schema(data)
    return kind(data)
