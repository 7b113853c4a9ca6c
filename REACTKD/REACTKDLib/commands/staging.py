"""An output folder that receives all results or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.writing.exchange import exchange
from REACTKDLib.core.writing.owners import PREFIX
from REACTKDLib.core.writing.refusals import is_broken_link, refusal_of
from REACTKDLib.core.writing.replacing import Stage, recover, recover_now_and_then, take_access

_TRIES = 10  # attempts to create a folder that other runs remove


@contextmanager
def all_or_nothing(output: Path) -> Iterator[Path]:
    """Yield a hidden folder to write into; at the end its entries are moved to `output`; after an error nothing
    remains.

    An existing folder keeps its other files; entries of the same name are replaced, all at once if the system can
    exchange folders, else so that a folder with its report is always complete (see `replacing`). A new folder appears
    at once, with its parents. Write access is checked before the work begins. Leftovers of a killed run are completed
    or removed first.

    Raises: OutputNotWritable.
    """
    output = Path(output).absolute()
    made: list[Path] = []
    stage: Stage | None = None
    done = False
    try:
        try:
            existed = output.is_dir()
            # Inside an existing folder, since its parent may belong to another user or lie on another disk.
            home = output if existed else output.parent
            if is_broken_link(output):  # it would be replaced, and the results be in another place than is meant
                raise FileNotFoundError(output)
            if output.exists() and not existed:
                raise NotADirectoryError(0, "A file has that name")
            recover_now_and_then(output.parent)  # may contain thousands of cases
            if home != output.parent:
                recover(home)
            stage = _stage_in(home, made)
            folder = stage.new if existed else stage.new / output.name
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise _not_writable(error, output) from error
        yield folder
        try:
            if not (existed and _swapped_whole(folder, output)):
                stage.commit()
        except OSError as error:
            raise _not_writable(error, output) from error
        done = True
    finally:
        if stage is not None:
            stage.discard()
        for folder in reversed(made if not done else []):
            try:
                folder.rmdir()
            except OSError:  # another process has put something there meanwhile
                break


def _stage_in(home: Path, made: list[Path]) -> Stage:
    """Return a stage in `home`, which is created with its parents if necessary; new ones are added to `made`.

    Another run may create the same parents at the same time, and remove them again if it fails.
    """
    tries = _TRIES
    while True:
        try:
            _make(home, made)
            return Stage(home)
        except FileNotFoundError:
            made[:] = [folder for folder in made if folder.is_dir()]
            tries -= 1
            if not tries:
                raise


def _make(folder: Path, made: list[Path]) -> None:
    """Create `folder` and its parents, adding new ones to `made`."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        try:
            new.mkdir()
        except FileExistsError:  # another run created it meanwhile, so we must not remove it
            if not new.is_dir():
                raise
        else:
            made.append(new)


def _swapped_whole(new: Path, output: Path) -> bool:
    """Exchange `output` and `new` if the old folder contains nothing else; return False, with nothing changed, if that
    is impossible.
    """
    kept = {path.name for path in output.iterdir() if not path.name.startswith(PREFIX)} - {
        p.name for p in new.iterdir()
    }
    if kept or output.is_symlink() or _stands_in(output):
        return False
    stage: Stage | None = None
    try:
        stage = Stage(output.parent)
        for entry in new.iterdir():
            take_access(entry, output / entry.name)
        beside = stage.new / output.name
        os.rename(new, beside)
        try:
            if _same_owner(beside, output) and exchange(beside, output):
                return True
        except OSError:
            pass
        os.rename(beside, new)
    except OSError:  # the parent belongs to another user, or is on another disk
        return False
    finally:
        if stage is not None:
            stage.discard()
    return False


def _stands_in(output: Path) -> bool:
    """Return True if this is the process's current folder, and so the user's shell's: both would remain in the old
    one.
    """
    try:
        here = Path.cwd()
    except OSError:  # that folder no longer exists
        return False
    return output in (here, *here.parents)


def _same_owner(new: Path, old: Path) -> bool:
    """Give `new` the permissions of `old`; return False if it would belong to another user."""
    shutil.copystat(old, new)
    a, b = new.stat(), old.stat()
    return (a.st_uid, a.st_gid) == (b.st_uid, b.st_gid)


def _not_writable(error: OSError, output: Path) -> OutputNotWritable:
    why = refusal_of(error, output)
    return OutputNotWritable(f"The output folder cannot be written ({why}); choose another folder.")
