#!/usr/bin/env python-real
"""Trains REACT-KD: as a command line module of 3D Slicer, from a shell, or under torchrun on several processes.

    python REACTKDTrain.py --cohort "phantom:hospital?cases=24&size=tiny" --output my-run

The same as `python -m REACTKDTrainLib train`, which it finds in an extension or a source checkout. Exit status: 0 done,
1 an error, 3 stopped (go on with --resume).
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DESCRIPTION = HERE / "REACTKDTrain.xml"


def find_library():
    """Put both libraries on the path, of an installed or built extension or of a source checkout; True when found."""
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
    """Run what the arguments say; returns the exit status."""
    if "--xml" in arguments:  # Slicer asks for the description
        print(DESCRIPTION.read_text(encoding="utf-8"), end="")
        return 0
    if not find_library():
        text = "The REACTKD library was not found; install the extension again, or run it from a checkout."
        print(text, file=sys.stderr, flush=True)
        return 1
    from REACTKDTrainLib.__main__ import main as command_line

    return command_line(["train", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
