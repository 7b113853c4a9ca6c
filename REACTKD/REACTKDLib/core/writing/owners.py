"""Names of hidden files and folders that identify the process that made them, so that those of dead ones can be
removed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

PREFIX = ".reactkd-"
UNKNOWN_AGE_S = 7 * 86400.0  # no write takes this long: older files of other computers count as left over
_NAME = re.compile(r"\.reactkd-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}(?:[.+].*)?", re.DOTALL)
_TAIL = 40  # characters of the target's name, to limit the length


def hidden_name(name: str = "") -> str:
    """Return a new name of this process, unique among threads, processes and computers; it ends with that of `name`."""
    pid = os.getpid()
    own = f"{PREFIX}{_host()}-{pid}-{_started(pid) or 0}-{secrets.token_hex(4)}"
    return f"{own}.{name[-_TAIL:]}" if name else own


def is_left_over(path: Path) -> bool:
    """Return True if `path` has such a name and its process is dead; of another computer, if it is older than a
    week.
    """
    if not path.name.startswith(PREFIX):
        return False
    match = _NAME.fullmatch(path.name)
    if match and match[1] == _host():
        return not is_alive(int(match[2]), int(match[3]))
    try:
        return time.time() - path.lstat().st_mtime > UNKNOWN_AGE_S
    except OSError:
        return False


def is_of_this_user(path: Path, is_kind: Callable[[int], bool]) -> bool:
    """Return True if the path itself, without following a link, is of this kind and this user's. Raises: OSError.

    is_kind: a test of its mode, such as `stat.S_ISDIR`.
    """
    found = os.lstat(path)
    return is_kind(found.st_mode) and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())


def is_alive(pid: int, started: int = 0) -> bool:
    """Return True if process `pid` of this computer is running. started: see `_started`, since numbers are reused."""
    if os.name == "nt":
        return _is_alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's process
        pass
    now = _started(pid)
    return now is None or (now != 0 and started in (0, now))


@cache
def _host() -> str:
    """Return a name for this computer and its process id namespace: a container has its own."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _started(pid: int) -> int | None:
    """Return the start time of a process, in ticks; 0 if it has ended; None if the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _is_alive_on_windows(pid: int) -> bool:
    import ctypes

    kernel = ctypes.windll.kernel32 if os.name == "nt" else None
    process = kernel.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
    if not process:
        return kernel.GetLastError() == 5  # access denied: it is another user's
    try:
        return kernel.WaitForSingleObject(process, 0) == 0x102  # WAIT_TIMEOUT: it has not ended
    finally:
        kernel.CloseHandle(process)
