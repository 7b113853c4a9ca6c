"""The workflows and pages of the public repository use this project's versions and commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def test_the_workflow_tests_every_supported_python() -> None:
    oldest = re.search(r'requires-python = ">=3\.(\d+)"', text("pyproject.toml"))
    matrix = re.search(r"python: \[(.*)\]", text(".github/workflows/test.yml"))
    assert oldest and matrix
    versions = [int(minor) for minor in re.findall(r"3\.(\d+)", matrix[1])]
    assert versions == list(range(int(oldest[1]), 14))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_existing_targets_and_scripts(path: Path) -> None:
    content, makefile = path.read_text(encoding="utf-8"), text("Makefile")
    for target in re.findall(r"\bmake ([a-z-]+)", content):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for named in re.findall(r"(?:requirements-dev\.txt|REACTKD/Resources/\S+\.txt)", content):
        assert (REPOSITORY / named).is_file(), named
    for named in re.findall(r"\bpython3? (\S+\.py)|uses: \./(\S+)", content):
        assert (REPOSITORY / "".join(named)).is_file(), named


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_read_permission_only(path: Path) -> None:
    """What a step runs, such as a package that pip installs, could otherwise push with the token of the checkout."""
    content = path.read_text(encoding="utf-8")
    assert "\npermissions:\n  contents: read\n" in content and content.count("permissions:") == 1
    assert not re.search(r"pull_request_target|secrets\.|GITHUB_TOKEN|git push", content)
    for step in re.split(r"^ +- (?=\w+:)", content, flags=re.MULTILINE)[1:]:
        if "uses: actions/checkout@" in step:
            assert re.search(r"^ +with:\n(?: +.*\n)*? +persist-credentials: false$", step, re.MULTILINE), step


def test_no_text_of_a_pull_request_is_run_as_a_command() -> None:
    """A title or the name of a branch can hold a command; a step reads it from its environment instead."""
    written = re.compile(r"^ +(?:- )?run: .*\n(?: {8,}.*\n)*", re.MULTILINE)
    for path in WORKFLOWS:
        for step in written.findall(path.read_text("utf-8")):
            assert not re.search(r"\$\{\{ *(github\.(event|head_ref|ref_name)|inputs)", step), f"{path.name}: {step}"


def test_every_action_has_one_version_and_is_named_by_its_commit() -> None:
    """Whoever can move the tag of an action could otherwise change what runs here; Dependabot renews both."""
    uses = [found for path in WORKFLOWS for found in re.findall(r"uses: ([^.\s].*)", path.read_text("utf-8"))]
    used = {
        re.fullmatch(r"([\w/-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", found) or pytest.fail(found) for found in set(uses)
    }
    assert used and len({found[1] for found in used}) == len(used), sorted(found[0] for found in used)


def test_the_hook_lints_with_the_version_of_make_lint() -> None:
    pinned = re.search(r"^ruff==(\S+)$", text("requirements-dev.txt"), re.MULTILINE)
    hook = re.search(r"ruff-pre-commit\s+rev: v(\S+)", text(".pre-commit-config.yaml"))
    assert pinned and hook and pinned[1] == hook[1]


def test_the_citation_names_the_paper_and_the_license_of_the_package() -> None:
    citation = text("CITATION.cff")
    assert "arXiv:2508.02104" in citation and "2508.02104" in text("README.md")
    license = re.search(r'license = "(.+)"', text("pyproject.toml"))
    assert license and f"license: {license[1]}\n" in citation
