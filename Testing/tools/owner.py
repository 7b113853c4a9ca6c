#!/usr/bin/env python3
"""Keeps the public address of the repository the same in every file that has it.

python Testing/tools/owner.py              say what stands in the way of a release; exit status 1 if anything does
python Testing/tools/owner.py --write NAME write the account under which the repository is public
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PLACEHOLDER = "OWNER"
FILES = ("CMakeLists.txt", "Resources/REACTKD.json", "REACTKDTrain/REACTKDTrain.xml", "CITATION.cff")
_ADDRESS = re.compile(r"(https://(?:raw\.githubusercontent|github)\.com/)([A-Za-z0-9-]+)(/SlicerREACTKD\b)")
_ACCOUNT = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")  # as GitHub allows it


def owners(repository: Path = REPOSITORY) -> dict[str, list[str]]:
    """{file: the account in each of its addresses}."""
    return {
        name: [owner for _, owner, _ in _ADDRESS.findall((repository / name).read_text(encoding="utf-8"))]
        for name in FILES
    }


def faults(repository: Path = REPOSITORY) -> list[str]:
    """What stands in the way of a release, one sentence each."""
    found = owners(repository)
    told = [f"{name} has no address of the repository." for name, names in found.items() if not names]
    placeholders = [name for name, names in found.items() if PLACEHOLDER in names]
    if placeholders:
        told.append(f"{', '.join(placeholders)}: no account is named yet; run make owner OWNER=<account>.")
    accounts = {owner for names in found.values() for owner in names} - {PLACEHOLDER}
    if len(accounts) > 1:
        told.append(f"The addresses name {' and '.join(sorted(accounts))}; run make owner OWNER=<account>.")
    return told


def write(account: str, repository: Path = REPOSITORY) -> None:
    """Put `account` into every address. Raises: ValueError for a name that GitHub does not allow."""
    if not _ACCOUNT.fullmatch(account) or account == PLACEHOLDER:
        raise ValueError(f"{account!r} is no name of an account.")
    for name in FILES:
        path = repository / name
        text = path.read_text(encoding="utf-8")
        path.write_text(_ADDRESS.sub(rf"\g<1>{account}\g<3>", text), encoding="utf-8", newline="\n")


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    if arguments[:1] == ["--write"]:
        try:
            write(*arguments[1:2] or [""])
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
    told = faults()
    print("\n".join(told) or "The addresses are ready for a release.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
