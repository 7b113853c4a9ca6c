"""Python's garbage collector in processes of our own, which are full of objects of large libraries.

PyTorch and what it imports create 180,000 objects that live as long as the process. Every full collection scans them
(0.1 s), and the interpreter does so again before it ends (0.5 s). Nothing here is for a process of someone else, such
as Slicer or a notebook.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


def end_without_collection() -> None:
    """Let this process end without searching its objects for garbage; exit handlers run as usual."""
    atexit.register(gc.freeze)


@contextmanager
def loading() -> Iterator[None]:
    """Leave the objects that exist at the end of the block, such as those of imported libraries, out of collections.

    Nothing is collected in the block either. An object left out is still freed when nothing refers to it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
