"""An output folder that gets all results or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.writing.exchange import exchange
from REACTKDLib.core.writing.owners import PREFIX
from REACTKDLib.core.writing.replacing import Stage, recover, recover_now_and_then

_TRIES = 10  # to make a folder that other runs take away


@contextmanager
def all_or_nothing(output: Path) -> Iterator[Path]:
    """Yield a hidden folder to write into; at the end its entries move to `output`, on any error nothing is left.

    A folder that exists keeps its other files; entries of the same name are replaced, all at once where the system can
    exchange folders, else so that a folder with its report is whole at any moment (see `replacing`). A folder that does
    not exist appears at once, with its parents. Whether it can be written is known before the work begins. What a run
    that was killed left is finished or removed first.

    Raises: OutputNotWritable.
    """
    output = Path(output).absolute()
    made: list[Path] = []
    stage: Stage | None = None
    done = False
    try:
        try:
            existed = output.is_dir()
            # Inside a folder that exists: its parent may belong to somebody else or lie on another disk.
            home = output if existed else output.parent
            if output.exists() and not existed:
                raise NotADirectoryError(0, "A file has that name")
            recover_now_and_then(output.parent)  # may hold thousands of cases
            if home != output.parent:
                recover(home)
            stage = _stage_in(home, made)
            folder = stage.new if existed else stage.new / output.name
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise _not_writable(error) from error
        yield folder
        try:
            if not (existed and _swapped_whole(folder, output)):
                stage.commit()
        except OSError as error:
            raise _not_writable(error) from error
        done = True
    finally:
        if stage is not None:
            stage.discard()
        for folder in reversed(made if not done else []):
            try:
                folder.rmdir()
            except OSError:  # somebody else put something there meanwhile
                break


def _stage_in(home: Path, made: list[Path]) -> Stage:
    """Return a stage in `home`, which is made with its parents if need be; `made` notes which ones were new.

    Another run may make the same parents at the same time, and take away again what it made when it fails.
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
    """Make `folder` and its parents, noting which ones were new."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        try:
            new.mkdir()
        except FileExistsError:  # another run made it meanwhile, so it is not ours to take away
            if not new.is_dir():
                raise
        else:
            made.append(new)


def _swapped_whole(new: Path, output: Path) -> bool:
    """Exchange `output` and `new` when the old folder holds nothing else; False, with nothing done, if it cannot be."""
    kept = {path.name for path in output.iterdir() if not path.name.startswith(PREFIX)} - {
        p.name for p in new.iterdir()
    }
    if kept or output.is_symlink() or _stands_in(output):
        return False
    stage: Stage | None = None
    try:
        stage = Stage(output.parent)
        beside = stage.new / output.name
        os.rename(new, beside)
        try:
            if _same_owner(beside, output) and exchange(beside, output):
                return True
        except OSError:
            pass
        os.rename(beside, new)
    except OSError:  # the parent is somebody else's, or lies on another disk
        return False
    finally:
        if stage is not None:
            stage.discard()
    return False


def _stands_in(output: Path) -> bool:
    """True when this process works in the folder, as the user's shell does then: both would be left in an old one."""
    try:
        here = Path.cwd()
    except OSError:  # that folder is gone already
        return False
    return output in (here, *here.parents)


def _same_owner(new: Path, old: Path) -> bool:
    """Give `new` the permissions of `old`; False when it would belong to somebody else."""
    shutil.copystat(old, new)
    a, b = new.stat(), old.stat()
    return (a.st_uid, a.st_gid) == (b.st_uid, b.st_gid)


def _not_writable(error: OSError) -> OutputNotWritable:
    why = (error.strerror or "the disk refused it").lower()
    return OutputNotWritable(f"The output folder cannot be written ({why}); choose another folder.")
