"""REACTKD: grades hepatocellular carcinoma from CT and PET, and shows which regions decided.

Layers, each importing only what is below it: `gui` -> `scene` -> `core`; the command line (`commands`) stands beside
`scene`. Nothing heavy is imported here: torch and monai load on first use.
"""

__version__ = "0.1.0"
