"""The files that make a model folder a bundle that MONAI can run: two configurations, and the schema of its metadata.

They are the same for every model, since everything that differs is read from `metadata.json`; the code that they refer
to is this package. The program itself never reads them: a configuration can execute anything, so only MONAI's own
commands use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CONFIGS = Path("configs")
SCHEMA = CONFIGS / "metadata_schema.json"
INFERENCE = CONFIGS / "inference.json"
TRAIN = CONFIGS / "train.json"
#: folder of these files; the schema is that of `bundle_metadata.MONAI_SCHEMA`, by the MONAI Consortium under Apache-2.0
_SOURCE = Path(__file__).with_name("monai")

#: section of a model's README on using it with MONAI
USE = """\
## With MONAI

In the model's folder, after `pip install ".[monai]"` in the folder of the REACTKD repository (for `train.json`
`".[monai,train]"`): the code that the configurations name is this package. Nothing is downloaded.

    python -m monai.bundle run --config_file configs/inference.json --datalist cases.json --output_dir answers
    python -m monai.bundle run --config_file configs/train.json --datalist graded.json --output_dir run
    python -m monai.bundle verify_metadata --meta_file configs/metadata.json --filepath configs/metadata_schema.json

The first grades each case as `reactkd grade` does, into a folder of its own and `predictions.csv`; the second tunes
this student on graded cases. In Python, `monai.bundle.load(name, bundle_dir=..., workflow_type="inference")` gives the
network as a module, with the name of this folder and the folder that it lies in.
"""


def monai_files() -> Iterator[tuple[Path, bytes]]:
    """Yield the path in a model folder, and the content, of each file that MONAI needs besides metadata and weights."""
    for part in (INFERENCE, TRAIN, SCHEMA):
        yield part, (_SOURCE / part.name).read_bytes()
