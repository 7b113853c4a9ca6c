"""Why the system refused to write, in words for a sentence."""

from __future__ import annotations

from pathlib import Path

from REACTKDLib.core.text import tr as _


def refusal_of(error: OSError, folder: Path) -> str:
    """Return the reason of an error in `folder`, such as "no space left on device".

    A broken link in its path is named as such: the system's reason is "file exists" or "too many levels of symbolic
    links", and those who did not create the link cannot know what is meant.
    """
    if any(is_broken_link(path) for path in (folder, *folder.parents)):
        return _("a symbolic link in its path leads nowhere")
    return (error.strerror or str(error)).lower() or _("the disk refused it")


def is_broken_link(path: Path) -> bool:
    """Return True for a symbolic link to what does not exist, such as a disk that is not mounted, or to itself."""
    return path.is_symlink() and not path.exists()
