"""Runs a scripted command line module as Slicer does: arguments by its XML, progress from its output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TAG = re.compile(r"<filter-(start|end|progress|comment|name|time)>(.*?)(?:</filter-\1>)?$")


class UnknownParameter(KeyError):
    """Slicer silently ignores a misspelled parameter; here it raises."""


def arguments_of(xml: Path, parameters: Mapping[str, object]) -> list[str]:
    """Return the command line: flags in the order of the XML; empty strings are omitted, booleans are bare flags."""
    elements = [e for e in ElementTree.parse(xml).getroot().iterfind("parameters/*") if e.find("name") is not None]
    known = {e.findtext("name"): e for e in elements if e.findtext("channel") != "output"}
    for name in parameters:
        if name not in known:
            raise UnknownParameter(name)
    out = []
    for name, element in known.items():
        value = parameters.get(name, element.findtext("default") or "")
        flag = f"--{element.findtext('longflag')}"
        if element.tag == "boolean":
            out += [flag] if value in (True, "true") else []
        elif str(value) != "":
            out += [flag, str(value)]
    return out


@dataclass
class CliRun:
    """One run. progress: (seconds since the start, fraction); comments: texts shown; status: as Slicer reports it."""

    process: subprocess.Popen
    returns: Path
    progress: list[tuple[float, float]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    errors: str = ""
    canceled: bool = False

    def _read(self) -> None:
        started = time.monotonic()
        for raw in self.process.stdout:
            line = raw.rstrip("\n")
            tag = TAG.match(line)
            if tag is None:
                self.text.append(line)
            elif tag[1] == "progress":
                self.progress.append((time.monotonic() - started, float(tag[2])))
            elif tag[1] == "comment":
                self.comments.append(tag[2])

    def wait(self, timeout: float = 600) -> CliRun:
        """Wait until the process has ended."""
        self.process.wait(timeout)
        self._reader.join()
        self._errors.join()
        return self

    def cancel(self) -> float:
        """Kill the process as Slicer does; returns the seconds until it has ended."""
        started = time.monotonic()
        self.canceled = True
        self.process.kill()
        self.wait()
        return time.monotonic() - started

    def wait_for(self, fraction: float, timeout: float = 300) -> None:
        """Wait until progress has passed `fraction`."""
        self._wait_until(lambda: self.progress and self.progress[-1][1] >= fraction, f"not at {fraction}", timeout)

    def wait_for_stage(self, name: str, timeout: float = 300) -> None:
        """Wait until a comment contains `name`."""
        self._wait_until(lambda: any(name in comment for comment in self.comments), f"no stage {name!r}", timeout)

    def wait_for_file(self, path: Path, timeout: float = 300) -> None:
        """Wait until a file exists."""
        self._wait_until(path.exists, f"no {path.name}", timeout)

    def _wait_until(self, true: Callable[[], object], otherwise: str, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not true():
            assert self.process.poll() is None, f"ended early: {self.errors} {self.text}"
            assert time.monotonic() < end, f"{otherwise} after {timeout} s, but {self.comments[-1:]}"
            time.sleep(0.02)

    @property
    def status(self) -> str:
        """'Cancelled', 'Completed' or 'CompletedWithErrors'."""
        if self.canceled:
            return "Cancelled"
        return "Completed" if self.process.returncode == 0 else "CompletedWithErrors"

    @property
    def results(self) -> dict[str, str]:
        """Return the output parameters, which are read only after success."""
        if self.status != "Completed":
            return {}
        lines = self.returns.read_text(encoding="utf-8").splitlines()
        return dict(line.split(" = ", 1) for line in lines)


def start(script: Path, parameters: Mapping[str, object], folder: Path, **environment: str) -> CliRun:
    """Start `script` with `parameters`; folder: where the return parameters are written."""
    returns = Path(folder) / "returned.params"
    command = [sys.executable, str(script), "--returnparameterfile", str(returns)]
    command += arguments_of(script.with_suffix(".xml"), parameters)
    # the process gets the environment that an application would pass on, not the test's path; and it must flush by
    # itself
    hidden = ("PYTHONPATH", "PYTHONUNBUFFERED")
    clean = {k: v for k, v in os.environ.items() if k not in hidden} | {"OMP_NUM_THREADS": "1"} | environment
    process = subprocess.Popen(
        command, cwd=folder, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1
    )
    run = CliRun(process, returns)
    run._reader = threading.Thread(target=run._read, daemon=True)
    run._errors = threading.Thread(target=lambda: setattr(run, "errors", process.stderr.read()), daemon=True)
    run._reader.start()
    run._errors.start()
    return run
