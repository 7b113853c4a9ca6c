#!/usr/bin/env python-real
"""Train REACT-KD, as a command line module of 3D Slicer, from a shell, or under torchrun on several processes.

    python REACTKDTrain.py --cohort "phantom:hospital?cases=24&size=tiny" --output my-run

This is `python -m REACTKDTrainLib train`; the script first locates the library in an installed extension or a source
checkout. Exit status: 0 finished, 1 error, 3 stopped (resume with --resume).
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DESCRIPTION = HERE / "REACTKDTrain.xml"


def find_library():
    """Add both libraries of an installed or built extension, or of a source checkout, to the path; True if found."""
    if (HERE / "REACTKDTrainLib").is_dir():
        places = [HERE, HERE.parent / "REACTKD"]
    else:
        places = [HERE.parent / "qt-scripted-modules", HERE.parents[1] / "qt-scripted-modules"]
    sys.path[:0] = [str(place) for place in places if place.is_dir()]
    try:
        import REACTKDLib  # noqa: F401
        import REACTKDTrainLib  # noqa: F401
    except ImportError:
        return False
    return True


def main(arguments):
    """Run the command line `arguments` and return the exit status."""
    if "--xml" in arguments:  # Slicer requests the module description
        print(DESCRIPTION.read_text(encoding="utf-8"), end="")
        return 0
    if not find_library():
        text = "The REACTKD library was not found; install the extension again, or run it from a checkout."
        print(text, file=sys.stderr, flush=True)
        return 1
    from REACTKDTrainLib.__main__ import command

    return command(["train", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
