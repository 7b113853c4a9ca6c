"""Runs the readers in a process that may crash or hang safely: one JSON line in, one JSON line out.

python -m fuzz.child FOLDER
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import traceback
import warnings
from pathlib import Path
from random import Random

from fuzz.targets import Wrong, target
from REACTKDLib.core.errors import ReactkdError

MEMORY_LIMIT = 16 * 2**30  # bytes of address space, most of which libraries never touch
SENTENCE_LIMIT = 600


def main(folder: Path) -> None:
    """Answer messages until standard input closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    warnings.simplefilter("ignore")
    replies = os.fdopen(os.dup(1), "w")
    # Output of libraries would reach a user's terminal, so it is captured and counted.
    printed = (folder / "printed.txt").open("w+b")
    for stream in (1, 2):
        os.dup2(printed.fileno(), stream)
    ready: set[str] = set()
    for line in sys.stdin:
        replies.write(json.dumps(_answer(json.loads(line), folder, ready, printed)) + "\n")
        replies.flush()


def _answer(message: dict, folder: Path, ready: set[str], printed) -> dict:
    name = message["target"]
    module = target(name)
    home = folder / name
    if name not in ready:
        (home / "good").mkdir(parents=True, exist_ok=True)
        module.prepare(home / "good")
        ready.add(name)
    place = home / "input"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if "file" in message:
        path = module.replay(Path(message["file"]), place)
    else:
        path = module.make(Random(f"{name}:{message['seed']}"), place)
    printed.truncate(0)
    verdict, text = _verdict(module, path)
    sys.stdout.flush()
    sys.stderr.flush()
    if verdict in ("accepted", "refused") and os.fstat(printed.fileno()).st_size:
        verdict, text = "printed", (folder / "printed.txt").read_text(errors="replace")[-SENTENCE_LIMIT:].strip("\0 \n")
    return {"verdict": verdict, "text": text, "peak_mb": _peak_mb()}


def _verdict(module, path: Path) -> tuple[str, str]:
    try:
        told = module.ask(path)
    except ReactkdError as error:
        text = str(error)
        if len(text) > SENTENCE_LIMIT or "\n" in text or "Traceback" in text:
            return "babbled", text[:SENTENCE_LIMIT]
        return "refused", text
    except Wrong as error:
        return "wrong", str(error)
    except BaseException as error:
        return "unforeseen", f"{type(error).__name__}: {error}"[:200] + "\n" + traceback.format_exc()[-1200:]
    return "accepted", str(told or "")[:200]


def _peak_mb() -> int:
    """Return the peak memory of this process in MB. ru_maxrss would include the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
