#!/usr/bin/env python3
"""Reports what prevents a release; writes the repository's public address into every file that contains it.

    python Testing/tools/release.py              one line for each obstacle; exit status 1 if there is any
    python Testing/tools/release.py --tag v1.2.0 also check that the tag is that of this version
    python Testing/tools/release.py --owner NAME write the account under which the repository is public

No packages are needed. The manual steps are in docs/how-to/release.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PLACEHOLDER = "OWNER"
FILES = ("CMakeLists.txt", "Resources/REACTKD.json", "REACTKDTrain/REACTKDTrain.xml", "CITATION.cff", "README.md")
_ADDRESS = re.compile(r"(https://(?:raw\.githubusercontent|github)\.com/)([A-Za-z0-9-]+)(/SlicerREACTKD\b)")
_ACCOUNT = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")  # as GitHub allows it


def owners(repository: Path = REPOSITORY) -> dict[str, list[str]]:
    """Return {file: the accounts in its addresses}."""
    return {
        name: [owner for _, owner, _ in _ADDRESS.findall((repository / name).read_text(encoding="utf-8"))]
        for name in FILES
    }


def faults_of_addresses(repository: Path = REPOSITORY) -> list[str]:
    """Return the faults of the addresses, one sentence each."""
    found = owners(repository)
    faults = [f"{name} has no address of the repository." for name, names in found.items() if not names]
    placeholders = [name for name, names in found.items() if PLACEHOLDER in names]
    if placeholders:
        faults.append(f"{', '.join(placeholders)}: no account is named yet; run make owner OWNER=<account>.")
    accounts = {owner for names in found.values() for owner in names} - {PLACEHOLDER}
    if len(accounts) > 1:
        faults.append(f"The addresses name {' and '.join(sorted(accounts))}; run make owner OWNER=<account>.")
    return faults


def version(repository: Path = REPOSITORY) -> str:
    """Return the version in `REACTKDLib.__version__`, the one place that states it."""
    text = (repository / "REACTKD" / "REACTKDLib" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


def faults_of_version(tag: str | None = None, repository: Path = REPOSITORY) -> list[str]:
    """Return contradictions of the change log, or a tag, with the version, one sentence each."""
    stated = version(repository)
    sections = re.findall(r"^## (.+)$", (repository / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    faults = []
    if not sections or not re.fullmatch(rf"{re.escape(stated)} \(\d{{4}}-\d\d-\d\d\)", sections[0]):
        faults.append(f"CHANGELOG.md must begin with a section '## {stated} (year-month-day)'.")
    if tag is not None and tag != f"v{stated}":
        faults.append(f"The tag is {tag} where REACTKDLib.__version__ is {stated}; name it v{stated}.")
    return faults


def write(account: str, repository: Path = REPOSITORY) -> None:
    """Put `account` into every address. Raises: ValueError for a name that GitHub does not allow."""
    if not _ACCOUNT.fullmatch(account) or account == PLACEHOLDER:
        raise ValueError(f"{account!r} is no name of an account.")
    for name in FILES:
        path = repository / name
        text = path.read_text(encoding="utf-8")
        path.write_text(_ADDRESS.sub(rf"\g<1>{account}\g<3>", text), encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--owner", metavar="NAME", help="write this account into every address")
    parser.add_argument("--tag", help="the tag that is to be released, such as v1.2.0")
    options = parser.parse_args(arguments)
    if options.owner is not None:
        try:
            write(options.owner)
        except ValueError as error:
            parser.error(str(error))
        return 0
    faults = [*faults_of_addresses(), *faults_of_version(options.tag)]
    print("\n".join(faults) or "Addresses, version and change log are ready for a release.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
