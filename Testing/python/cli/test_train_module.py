"""REACTKDTrain as a Slicer module: its description, its arguments, and where it finds its library."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from pathlib import Path

import pytest

from REACTKDTrainLib.__main__ import build_parser
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.commands import train as commands
from REACTKDTrainLib.training.options import RunOptions, options_from
from REACTKDTrainLib.training.packages import NEEDED, how_to_install
from support.cli_runner import UnknownParameter, arguments_of
from support.small_training import COHORT, TRAIN_SCRIPT
from tools import train_xml

XML = TRAIN_SCRIPT.with_suffix(".xml")
REPOSITORY = TRAIN_SCRIPT.parents[1]
PARAMETERS = [e for e in ElementTree.parse(XML).getroot().iterfind("parameters/*") if e.find("name") is not None]
INPUTS = [e for e in PARAMETERS if e.findtext("channel") != "output"]


def command_line(arguments: list[str]):
    """The options that the command `train` parses from its arguments."""
    return build_parser("train").parse_args(["train", *arguments])


def run_script(*arguments: str, script: Path = TRAIN_SCRIPT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it as a user does: without the tests' PYTHONPATH."""
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, env=clean)


# -- the description. Slicer's parser: ModuleDescriptionParser.cxx of SlicerExecutionModel


def test_the_description_has_what_slicer_shows() -> None:
    root = ElementTree.parse(XML).getroot()
    assert root.tag == "executable"
    for name in ("category", "title", "description", "version", "documentation-url", "license", "contributor"):
        assert root.findtext(name), name
    assert [group.tag for group in root][-4:] == ["parameters"] * 4
    for group in root.iterfind("parameters"):
        assert group.findtext("label") and group.findtext("description")
        assert set(group.attrib) <= {"advanced"}


@pytest.mark.parametrize("element", PARAMETERS, ids=lambda e: e.findtext("name"))
def test_every_parameter_passes_slicers_parser(element: ElementTree.Element) -> None:
    allowed = {"integer": {"constraints"}, "string-enumeration": {"element"}}
    assert element.tag in {"integer", "boolean", "string", "double", "file", "directory", "string-enumeration"}
    common = {"name", "longflag", "label", "description", "default", "channel"}
    assert {child.tag for child in element} <= common | allowed.get(element.tag, set())
    assert len([child.tag for child in element if child.tag != "element"]) == len(
        {child.tag for child in element if child.tag != "element"}
    )
    assert set(element.attrib) <= ({"fileExtensions", "multiple"} if element.tag == "file" else set())
    for name in ("name", "longflag"):
        assert re.fullmatch("[_a-zA-Z][_a-zA-Z0-9]*", element.findtext(name, "x"))  # validVariable() in its parser
    assert element.findtext("label") and element.findtext("description").endswith(".")


@pytest.mark.parametrize("element", INPUTS, ids=lambda e: e.findtext("name"))
def test_every_input_has_a_flag_and_a_default_that_fits(element: ElementTree.Element) -> None:
    assert element.findtext("longflag") == element.findtext("name")
    default = element.findtext("default") or ""
    if element.find("constraints") is not None:  # its schema asks for all three
        low, high, step = (int(element.findtext(f"constraints/{end}")) for end in ("minimum", "maximum", "step"))
        assert low <= int(default) <= high and step == 1
    if element.tag == "string-enumeration":
        assert default in [choice.text for choice in element.iterfind("element")]
    if element.tag == "boolean":
        assert default == "false"


def test_only_the_output_is_a_directory() -> None:
    # Slicer's panel shows a directory as a button that is never empty: an optional folder must be a string
    assert [e.findtext("name") for e in INPUTS if e.tag == "directory"] == ["output"]


def test_results_are_return_parameters() -> None:
    outputs = {e.findtext("name"): e for e in PARAMETERS if e not in INPUTS}
    assert set(outputs) == {"macroAUC", "accuracy", "bundle"}
    # Slicer reads parameters without flag and index from the file of return parameters
    assert all(e.find("longflag") is None and e.find("flag") is None and e.find("index") is None
               for e in outputs.values())  # fmt: skip


def test_names_and_titles_are_unique() -> None:
    for what in ("name", "longflag", "label"):
        told = [e.findtext(what) for e in PARAMETERS if e.findtext(what)]
        assert len(told) == len(set(told)), what


def test_the_option_xml_prints_the_description() -> None:
    assert run_script("--xml").stdout == XML.read_text(encoding="utf-8")


# -- one list of parameters: XML, command line, options


def test_the_xml_is_made_from_the_options() -> None:
    assert train_xml.description() == XML.read_text(encoding="utf-8")


def test_xml_and_options_have_the_same_parameters() -> None:
    spoken = {re.sub("[A-Z]", lambda c: "_" + c.group().lower(), e.findtext("name")) for e in INPUTS}
    assert spoken == {f.name for f in fields(RunOptions)}


def test_defaults_of_the_xml_are_those_of_the_options(tmp_path: Path) -> None:
    told = vars(command_line(["--cohort", "c", "--output", str(tmp_path / "o")]))
    assert options_from(told) == RunOptions(cohort="c", output=tmp_path / "o")


def test_what_slicer_passes_arrives_in_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("REACTKDTrainLib.training.loggers.find_spec", lambda name: name)  # whether installed or not
    said = {
        "cohort": "phantom:hospital", "unlabeled": "u", "external": "e", "output": str(tmp_path), "stage": "teacher",
        "method": "kd", "folds": 5, "fold": 2, "teacherEpochs": 3, "studentEpochs": 4, "teacherBatch": 6,
        "studentBatch": 7, "config": "c.json", "device": "cpu", "jobs": 2, "seed": 9, "resume": True,
        "skipUnreadable": True, "cache": "shared", "task": "t.json", "loggers": "tensorboard", "map": "G1=well",
    }  # fmt: skip
    assert set(said) == {e.findtext("name") for e in INPUTS}
    options = options_from(vars(command_line(arguments_of(XML, said))))
    for name, value in said.items():
        arrived = getattr(options, re.sub("[A-Z]", lambda c: "_" + c.group().lower(), name))
        assert arrived == (Path(value) if isinstance(arrived, Path) else value), name


def test_both_spellings_of_a_flag_work() -> None:
    parse = command_line
    for flag in ("--teacher-epochs", "--teacherEpochs"):
        assert parse([flag, "7"]).teacherEpochs == 7
    assert parse([]).teacherEpochs == 0
    assert parse(["--skip-unreadable"]).skipUnreadable and parse(["--skipUnreadable"]).skipUnreadable


def test_help_lists_each_parameter_once(train) -> None:
    status, text, errors = train("--help")
    assert status == 0 and errors == ""
    for element in INPUTS:
        flag = "--" + re.sub("[A-Z]", lambda c: "-" + c.group().lower(), element.findtext("name"))
        assert len(re.findall(rf"^  {flag}\b", text, re.MULTILINE)) == 1, flag


def test_a_misspelled_parameter_is_refused_by_the_test_runner() -> None:
    with pytest.raises(UnknownParameter):
        arguments_of(XML, {"teacherEpoch": 3})


# -- the documentation: Slicer silently drops misspelled parameters

PAGE = (REPOSITORY / "docs" / "how-to" / "training.md").read_text(encoding="utf-8")
LISTS = (REPOSITORY / "docs" / "reference" / "formats" / "lists.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_every_parameter_is_documented_and_no_other() -> None:
    names = {e.findtext("name") for e in INPUTS}
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (`--[a-z-]+`(?:, `--[a-z-]+`)*) \|", PAGE, re.MULTILINE)
    assert {name for row, _ in rows for name in re.findall(r"\w+", row)} == names
    for row, flags in rows:
        spoken = [re.sub("[A-Z]", lambda c: "-" + c.group().lower(), n) for n in re.findall(r"\w+", row)]
        assert re.findall(r"--([a-z-]+)", flags) == spoken


def test_the_commands_of_the_documentation_are_parsed() -> None:
    names = {e.findtext("name") for e in INPUTS}
    python = "\n".join(blocks("python"))
    compile(python, "docs/how-to/training.md", "exec")
    told = re.findall(r'^    "(\w+)": ', python, re.MULTILINE)
    assert told and set(told) <= names
    assert set(re.findall(r'ParameterAsString\("(\w+)"\)', python)) <= {"macroAUC", "bundle", "accuracy"}
    lines = [line for line in "\n".join(blocks("sh")).splitlines() if "REACTKDTrain.py" in line]
    assert len(lines) > 3
    for line in lines:
        command_line(shlex.split(line.split("REACTKDTrain.py")[1]))


def test_the_files_of_the_documentation_are_accepted(tmp_path: Path) -> None:
    (datalist,), (config,) = (map(json.loads, blocks("json", page)) for page in (LISTS, PAGE))
    assert [case["grade"] for case in datalist["training"]] == ["well", "poor"]
    (tmp_path / "list.json").write_text(json.dumps(datalist))
    assert len(open_cohort(tmp_path / "list.json")) == 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    options = RunOptions("phantom:hospital", tmp_path / "o", config=tmp_path / "config.json")
    assert options.training_config("tiny").distillation.gw_mode == "matched"


# -- the library


@pytest.mark.parametrize(
    ("commands", "modules"),
    [
        ("REACTKDTrain", "REACTKD"),  # a source checkout
        ("lib/Slicer-5.13/cli-modules", "lib/Slicer-5.13/qt-scripted-modules"),  # installed; most build trees
        ("lib/Slicer-5.13/cli-modules/Release", "lib/Slicer-5.13/qt-scripted-modules"),  # multi-configuration builds
    ],
)
def test_the_library_is_found_where_slicer_puts_it(commands: str, modules: str, tmp_path: Path) -> None:
    for folder in (commands, modules):
        (tmp_path / folder).mkdir(parents=True)
    for path in (TRAIN_SCRIPT, XML):
        shutil.copy(path, tmp_path / commands)
    shutil.copytree(REPOSITORY / "REACTKD" / "REACTKDLib", tmp_path / modules / "REACTKDLib")
    beside = tmp_path / (commands if commands == "REACTKDTrain" else modules)
    shutil.copytree(REPOSITORY / "REACTKDTrain" / "REACTKDTrainLib", beside / "REACTKDTrainLib")
    # the library reports the missing package, so this sentence shows that the library was found
    run = run_without("torch", tmp_path, tmp_path / commands / "REACTKDTrain.py")
    assert run.stderr == how_to_install(["torch"]) + "\n"


def test_without_its_library_the_script_says_how_to_repair_the_installation(tmp_path: Path) -> None:
    for path in (TRAIN_SCRIPT, XML):
        shutil.copy(path, tmp_path)
    run = run_without("REACTKDTrainLib", tmp_path, tmp_path / "REACTKDTrain.py")
    assert run.returncode == 1 and "install the extension again" in run.stderr


@pytest.mark.parametrize("package", sorted(NEEDED))
def test_a_missing_package_is_named_before_anything_is_loaded(package: str, tmp_path: Path) -> None:
    run = run_without(package, tmp_path)
    assert run.returncode == 1 and run.stdout == ""
    assert ("PyTorch extension" if package == "torch" else f"pip install {NEEDED[package]}") in run.stderr
    assert run.stderr.count("\n") == 1 and not (tmp_path / "o").exists()


def run_without(package: str, folder: Path, script: Path = TRAIN_SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run in a Python where importing `package` fails as if it were not installed."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    return run_script("--cohort", COHORT, "--output", str(folder / "o"), script=script, PYTHONPATH=str(folder))


def test_all_missing_packages_are_named_at_once() -> None:
    said = how_to_install(["torch", "monai", "sklearn"])
    assert "monai, scikit-learn" in said and "pip install monai scikit-learn" in said and "PyTorch extension" in said


def test_the_documentation_installs_all_packages_that_slicer_does_not_have() -> None:
    (line,) = re.findall(r'pip_install\("([^"]+)"\)', PAGE)
    assert set(line.split()) == set(NEEDED.values()) - {"numpy", "scipy", "SimpleITK", "torch"}


def test_every_package_that_a_training_imports_is_checked_at_its_start() -> None:
    optional = {"openpyxl", "pydicom", "highdicom"}  # needed by some cohorts only, which report it themselves
    optional |= {"tensorboard", "mlflow"}  # loggers, requested by name
    optional |= {"typing_extensions"}  # always installed: torch and pydantic depend on it
    found = {}
    for path in (REPOSITORY / "REACTKDTrain" / "REACTKDTrainLib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.split(".")[0]: path.name for name in names}
    others = {n: p for n, p in found.items() if n not in sys.stdlib_module_names and not n.startswith("REACTKD")}
    assert set(others) - optional <= set(NEEDED), others


def test_nothing_heavy_is_loaded_for_help_or_description() -> None:
    code = (
        "import runpy, sys\n"
        "try: runpy.run_path(sys.argv[1], run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'monai', 'numpy', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    for flag in ("--help", "--xml"):
        command = [sys.executable, "-c", code.replace("sys.argv[1]", repr(str(TRAIN_SCRIPT))), flag]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


def test_the_first_line_makes_it_a_command_line_module() -> None:
    assert TRAIN_SCRIPT.read_text(encoding="utf-8").startswith("#!/usr/bin/env python-real\n")


# -- standard output


def test_progress_is_printed_as_slicer_tags_as_a_bar_or_as_lines(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for in_slicer, terminal, text in (
        (True, False, "<filter-progress>0.2500</filter-progress>\n<filter-comment>teacher</filter-comment>\n"),
        (False, True, " 25.0 %|"),
        (False, False, " 25.0 %  teacher\n"),
    ):
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal)
        with commands.make_display(in_slicer) as on_progress:
            on_progress(0.25, "teacher")
        assert text in capsys.readouterr().out
    monkeypatch.setenv("RANK", "1")  # only the first of several processes prints
    with commands.make_display(True) as on_progress:
        on_progress(0.25, "teacher")
    assert capsys.readouterr().out == ""


def test_an_error_of_another_process_names_the_process(train, monkeypatch: pytest.MonkeyPatch) -> None:
    (status, _, first), said = train("--jobs", "0"), "No cohort was given"
    monkeypatch.setenv("RANK", "3")
    assert status == 1 and "must be at least 1" in first
    assert train("--jobs", "0")[2] == f"Process 3: {first}" and said not in first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_requests_a_stop_and_the_second_ends_the_process(
    number: int, train_module, tmp_path: Path
) -> None:
    commands.stop_on_signals(tmp_path / "o")
    signal.raise_signal(number)
    assert (tmp_path / "o" / "STOP").is_file()
    assert signal.getsignal(number) == signal.SIG_DFL
