"""`python -m REACTKDTrainLib.release`."""

from __future__ import annotations

import sys

from REACTKDTrainLib.release.command import main

if __name__ == "__main__":
    sys.exit(main())
