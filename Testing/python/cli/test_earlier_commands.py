"""Commands under the names of the previous release still run, with a hint; and every command has its help."""

from __future__ import annotations

import runpy
import sys

import pytest

from REACTKDTrainLib.__main__ import COMMANDS, main
from REACTKDTrainLib.moved import MOVED


def run_module(name: str, monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """`python -m NAME ...`, in this process."""
    monkeypatch.setattr(sys, "argv", ["-m", *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    return (end.value.code, *capsys.readouterr())


@pytest.mark.parametrize("name", MOVED)
def test_a_command_of_the_previous_release_runs_and_prints_a_hint(name: str, monkeypatch, capsys) -> None:
    module = f"REACTKDTrainLib.{name}".removesuffix(".__main__")
    status, text, errors = run_module(module, monkeypatch, capsys, "--help")
    now = f"python -m REACTKDTrainLib {MOVED[name]}"
    assert errors == f"This command is now: {now}; the old name goes with the next release.\n"
    assert status == 0 and text.startswith("usage: ") and MOVED[name].split()[-1] in text.split("\n")[0]


def test_unknown_command_names_are_refused() -> None:
    for name in ("nothing", "heads.nothing", "run.compare"):
        with pytest.raises(ImportError):
            runpy.run_module(f"REACTKDTrainLib.{name}")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_refuses_in_one_sentence(command: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0 and COMMANDS[command].split()[0] in capsys.readouterr().out.lower()
    assert main([command, "--no-such-option"]) == (1 if command in ("train", "study") else 2)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--help" in error


def test_the_help_of_all_names_every_command(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert all(f"    {command} " in text for text in [capsys.readouterr().out] for command in COMMANDS)
    assert main([]) == 2 and main(["walk"]) == 2
