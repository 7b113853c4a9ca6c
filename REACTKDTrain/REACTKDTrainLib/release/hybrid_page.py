"""Tables and text about the accuracy of a student on real livers, from the results of `evaluate_hybrids`."""

from __future__ import annotations

from collections.abc import Mapping

from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.release.card import NAMES
from REACTKDTrainLib.results.tables import NOTHING, Table, difference_cell, markdown, value_cell

#: names of the tables, for the markers of a page
TABLES = ("introduction", "auc", "differences", "intensities", "blocks", "swaps")


def hybrid_texts(found: Mapping) -> dict[str, str]:
    """Return name -> Markdown, for each of `TABLES`."""
    return {
        "introduction": introduction(found),
        "auc": markdown(auc_table(found)),
        "differences": markdown(difference_table(found)),
        "intensities": markdown(intensity_table(found)),
        "blocks": markdown(block_table(found)),
        "swaps": markdown(swap_table(found)),
    }


def hybrid_page(found: Mapping) -> str:
    """Return everything as one page."""
    text = hybrid_texts(found)
    return f"""# Lesions of known biology in real scans

{text["introduction"]}

{text["auc"]}

{text["differences"]}

Intensities of the livers on the network's grid, CT in HU and PET in the network's units:

{text["intensities"]}

How far the same lesions lie apart in the node vectors, in standard deviations over the phantoms' lesions
(shift / scatter):

{text["blocks"]}

Macro AUC on the real scans gained by the phantom's values of one block, for the same lesions:

{text["swaps"]}
"""


def introduction(found: Mapping) -> str:
    """Return one paragraph on the model and the experiment."""
    model, scans = found["model"], len(found["scans"])
    only = ", ".join(f"{NAMES[s]} {len(own['scans'])}" for s, own in found["subsets"].items())
    left = f" Left out: {len(found['skipped'])} cases without room or images." if found["skipped"] else ""
    learned = f", trained on: {found['biology']}," if found["biology"] else ""
    return (
        f"Model {model['name']} {model['version']}{learned} was tested on the lesions of {found['lesions']} patients "
        f"of the shared biology, all inserted into each of {scans} real scan{'s' if scans != 1 else ''} and each of "
        f"{found['phantoms']} phantoms. Scans with images: {only}. The 95 % intervals resample lesions and scans "
        "(Owen 2007); with a single scan they cover the lesions only, and with so few scans they are too narrow to "
        f"generalize to scans of another hospital. Not for clinical use.{left}"
    )


def auc_table(found: Mapping) -> Table:
    """One row per group of cases, one column per set of images."""
    subsets = found["subsets"]
    rows = [["macro AUC, 95 % interval", *(NAMES[s] for s in subsets)]]
    names = list(dict.fromkeys(name for own in subsets.values() for name in own["rows"]))
    names = [*(n for n in names if n != "exact limit"), "exact limit"]
    for name in names:
        rows.append([name, *(value_cell(own["rows"].get(name), 3, "auc") for own in subsets.values())])
    for name in names:
        if name in ("phantoms", "real scans") or name.startswith("in "):
            cells = [_mean_probabilities(own["rows"].get(name)) for own in subsets.values()]
            rows.append([f"*mean probability of {', '.join(GRADES)}, {name}*", *cells])
    return rows


def _mean_probabilities(row: Mapping | None) -> str:
    return "-" if row is None else " / ".join(f"{p:.2f}" for p in row["mean_probabilities"])


def difference_table(found: Mapping) -> Table:
    """Paired differences of macro AUC."""
    subsets = found["subsets"]
    rows = [["difference of macro AUC", *(NAMES[s] for s in subsets)]]
    for name in next(iter(subsets.values()))["differences"]:
        rows.append([name, *(difference_cell(own["differences"][name], 3) for own in subsets.values())])
    return rows


def intensity_table(found: Mapping) -> Table:
    """Level and noise of each liver, the phantoms' as a range."""
    images = list(dict.fromkeys(m for liver in found["liver_intensities"].values() for m in liver["level"]))
    rows = [["liver", *(f"{NAMES[m]} {kind}" for m in images for kind in ("level", "noise"))]]
    phantoms = [liver for name, liver in found["liver_intensities"].items() if name not in found["scans"]]

    def cells(livers: list[Mapping]) -> list[str]:
        out = []
        for m in images:
            for kind in ("level", "noise"):
                values = [liver[kind][m] for liver in livers if m in liver[kind]]
                low, high = (min(values), max(values)) if values else (None, None)
                out.append(NOTHING if low is None else f"{low:g}" if low == high else f"{low:g} to {high:g}")
        return out

    rows += [[name, *cells([found["liver_intensities"][name]])] for name in found["scans"]]
    return [*rows, ["phantoms", *cells(phantoms)]]


def block_table(found: Mapping) -> Table:
    """One row per image and block; one column per scan, and one for a phantom against the others."""
    names = list(dict.fromkeys(n for blocks in found["blocks"].values() for own in blocks.values() for n in own))
    names.sort(key=lambda name: name not in found["scans"])
    rows = [["image, block", *names]]
    for image, blocks in found["blocks"].items():
        for block, own in blocks.items():
            cells = [f"{own[n]['shift']:.2f} / {own[n]['scatter']:.2f}" if n in own else NOTHING for n in names]
            rows.append([f"{NAMES[image]}, {block}", *cells])
    return rows


def swap_table(found: Mapping) -> Table:
    """One row per block, one column per set of images."""
    swaps = found["swaps"]
    rows = [["block of a phantom", *(NAMES[s] for s in swaps)]]
    for block in next(iter(swaps.values())):
        rows.append([block, *(difference_cell(own[block], 3) for own in swaps.values())])
    return rows
