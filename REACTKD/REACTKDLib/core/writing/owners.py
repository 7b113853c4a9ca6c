"""Names of hidden files and folders that tell which process made them, so that a dead one's can be removed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

PREFIX = ".reactkd-"
UNKNOWN_AGE_S = 7 * 86400.0  # nobody writes so long: what another computer left is taken for left over
_NAME = re.compile(r"\.reactkd-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}(?:[.+].*)?", re.DOTALL)
_TAIL = 40  # characters of the target's name, so that a long name does not become too long


def hidden_name(name: str = "") -> str:
    """Return a new name of this process, unique among threads, processes and computers; it ends with that of `name`."""
    pid = os.getpid()
    own = f"{PREFIX}{_host()}-{pid}-{_started(pid) or 0}-{secrets.token_hex(4)}"
    return f"{own}.{name[-_TAIL:]}" if name else own


def is_left_over(path: Path) -> bool:
    """True when `path` bears such a name and its process is dead. What another computer made counts after a week."""
    if not path.name.startswith(PREFIX):
        return False
    match = _NAME.fullmatch(path.name)
    if match and match[1] == _host():
        return not is_alive(int(match[2]), int(match[3]))
    try:
        return time.time() - path.lstat().st_mtime > UNKNOWN_AGE_S
    except OSError:
        return False


def is_alive(pid: int, started: int = 0) -> bool:
    """True when process `pid` of this computer runs. started: see `_started`; another process may bear the number."""
    if os.name == "nt":
        return _is_alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        pass
    now = _started(pid)
    return now is None or (now != 0 and started in (0, now))


@cache
def _host() -> str:
    """This computer, and the space of process numbers in it: a container has its own."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _started(pid: int) -> int | None:
    """When a process was started, in ticks; 0 when it has ended already; None where the system does not tell."""
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
