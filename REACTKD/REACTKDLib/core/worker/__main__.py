"""The worker: `python -m REACTKDLib.core.worker FOLDER REPLIES [RUNNER]`, started by `client.WorkerClient`."""

from __future__ import annotations

import sys

from REACTKDLib.core.worker.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
