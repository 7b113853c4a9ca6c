"""Distributes inputs over child processes and counts the outcomes; a child that dies or hangs is replaced."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.targets import SHARES

HANG_S = 20.0
START_S = 120.0  # the first input of a target includes importing torch and creating its valid files
MEMORY_MB = 3000
CORPUS = Path(__file__).parent / "corpus"
GOOD = ("accepted", "refused")


@dataclass
class Counts:
    """The outcomes of the inputs. failures: (target, seed or file, verdict, text), in the order found."""

    verdicts: dict[str, Counter] = field(default_factory=lambda: {name: Counter() for name in SHARES})
    failures: list[tuple[str, object, str, str]] = field(default_factory=list)
    peak_mb: int = 0
    slowest_s: float = 0.0

    @property
    def total(self) -> int:
        """The number of inputs run."""
        return sum(sum(counter.values()) for counter in self.verdicts.values())


class Child:
    """One child process and its folder. command: the program to run; the folder is added as its last argument."""

    def __init__(self, command: list[str] | None = None, hang_s: float = HANG_S, start_s: float = START_S) -> None:
        self._command = command or [sys.executable, "-m", "fuzz.child"]
        self._hang_s, self._start_s = hang_s, start_s
        self.folder = Path(tempfile.mkdtemp(prefix="reactkd-fuzz-"))
        self._process: subprocess.Popen | None = None
        self._known: set[str] = set()

    def ask(self, message: dict) -> tuple[dict, float]:
        """Return the child's answer, or a crash or hang verdict if there is none, and the time taken in s."""
        limit = self._hang_s if message["target"] in self._known else self._hang_s + self._start_s
        process = self._started()
        begin = time.monotonic()
        with suppress(BrokenPipeError):  # it has died, which the missing answer will show
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
        if not select.select([process.stdout], [], [], limit)[0]:
            self.close()
            return {"verdict": "hang", "text": f"no answer in {limit:.0f} s"}, limit
        line = process.stdout.readline()
        took = time.monotonic() - begin
        if not line:
            status = process.wait()
            self.close()
            return {"verdict": "crash", "text": f"exit status {status}"}, took
        first = message["target"] not in self._known
        self._known.add(message["target"])
        return json.loads(line), 0.0 if first else took

    def close(self) -> None:
        """End the process; the next input starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process, self._known = None, set()

    def remove(self) -> None:
        """End the process and remove its folder."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started(self) -> subprocess.Popen:
        if self._process is None or self._process.poll() is not None:
            environment = os.environ | {"OMP_NUM_THREADS": "1", "REACTKD_LOG_DIR": str(self.folder / "log")}
            environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
            self._process = subprocess.Popen(
                [*self._command, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
        return self._process


def questions(inputs: int, seed: int, targets: list[str], corpus: bool) -> Iterator[dict]:
    """Yield the corpus of past failures, then `inputs` new ones, distributed by `SHARES`, with seeds from `seed` on."""
    if corpus:
        for name in targets:
            for file in sorted((CORPUS / name).glob("*")):
                yield {"target": name, "file": str(file)}
    whole = sum(SHARES[name] for name in targets)
    for name in targets:
        for n in range(round(inputs * SHARES[name] / whole)):
            yield {"target": name, "seed": seed + n}


def run(todo: list[dict], until: float, children: int = 2, kept: Path | None = None) -> Counts:
    """Run all inputs in `todo`, until the time `until` (monotonic). kept: a folder for inputs that failed."""
    counts, lock, waiting = Counts(), threading.Lock(), iter(todo)

    def work() -> None:
        child = Child()
        try:
            while time.monotonic() < until:
                with lock:
                    message = next(waiting, None)
                if message is None:
                    return
                answer, took = child.ask(message)
                with lock:
                    _count(counts, message, answer, took)
                    if answer["verdict"] not in GOOD and kept is not None:
                        _keep(child.folder / message["target"] / "input", kept, message)
        finally:
            child.remove()

    threads = [threading.Thread(target=work) for _ in range(children)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def _count(counts: Counts, message: dict, answer: dict, took: float) -> None:
    verdict = answer["verdict"]
    peak = answer.get("peak_mb", 0)
    if verdict in GOOD and peak > MEMORY_MB:
        verdict, answer["text"] = "memory", f"{peak} MB"
    counts.verdicts[message["target"]][verdict] += 1
    counts.peak_mb, counts.slowest_s = max(counts.peak_mb, peak), max(counts.slowest_s, took)
    if verdict not in GOOD:
        which = message.get("seed", Path(message.get("file", "")).name)
        counts.failures.append((message["target"], which, verdict, answer["text"]))


def _keep(source: Path, kept: Path, message: dict) -> None:
    target = kept / f"{message['target']}-{message.get('seed', 'corpus')}"
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=_no_pipes)


def _no_pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not (Path(folder, name).is_file() or Path(folder, name).is_dir())]
