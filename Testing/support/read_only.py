"""A folder that cannot be written to, for ordinary users and for root, who drops its privileges for this."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Inside the context, `folder` and its contents can be read but not written."""
    if not hasattr(os, "geteuid"):
        pytest.skip("folders are made read-only by Unix permissions")
    root = os.geteuid() == 0
    before = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    above = {path: path.stat().st_mode for path in folder.parents} if root else {}
    for path in above:
        if not above[path] & 0o055 == 0o055:
            path.chmod(above[path] | 0o055)
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in {**above, **before}.items():
            path.chmod(mode)
