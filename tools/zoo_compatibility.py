"""Write docs/zoo-compatibility.md: which models of the zoo would run here.

    python tools/zoo_compatibility.py FOLDER

``FOLDER`` holds descriptions as files ``NICKNAME__VERSION.rdf.yaml``. Only they are
read, no weights: a model that runs is one that runs if its files are there.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from pathlib import Path

from napari_im2im.errors import ModelError
from napari_im2im.models.package import parse_description
from napari_im2im.zoo.compatibility import check_runs

OUT = Path(__file__).parents[1] / "docs" / "zoo-compatibility.md"

HEAD = """# Models of the zoo

What `napari_im2im.zoo.compatibility` says of {total} descriptions of the BioImage
Model Zoo (its collection of May 2026), made by `tools/zoo_compatibility.py` from the
descriptions alone.

| | models |
|---|---|
| descriptions that can be read | {parsed} of {total} |
| run as they are | {runs} |
| run once their code is trusted | {asks} |
| can't run | {no} |

## Where bioimageio.core 0.11 gives another result

Each line is a test of `tests/zoo/test_matrix.py`: this project gives what the
specification says, whole and in tiles; bioimageio.core doesn't.

| step | in bioimageio.core |
|---|---|
| statistics after another step | those of the raw tensor are used |
| `zero_mean_unit_variance` with an `eps` | `eps` is ignored |
| `binarize` with a threshold for each channel | raises ValueError |
| statistics of an output | raises KeyError |

Everywhere else the results for whole images are the same, within 1e-4. A `custom`
step gets one array, that of its own output, as there; `stardist_postprocessing` and
`cellpose_flow_dynamics` are bioimageio.core's own, applied to the whole result.

## What is left out

Only images can be shown. Outputs that are none (vectors, boxes, features of a fixed
size) are left out, and so are optional inputs that are none (prompts); a model
without any image to show can't be run.

## Model by model

"Runs" means that the weights are in a format that can be run here and that every
axis and processing step is understood; what comes out is checked with **Test**.

| model | format | runs | weights, best first | why not, or what is left out |
|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    warnings.simplefilter("ignore")
    rows, counts = [], Counter[str]()
    for file in sorted(folder.glob("*.rdf.yaml")):
        name = file.name.removesuffix(".rdf.yaml").replace("__", " ")
        word, formats, reason = judge(file)
        counts[word] += 1
        version = next(
            line.split()[1].strip("'\"")
            for line in file.read_text("utf-8").splitlines()
            if line.startswith("format_version")
        )
        rows.append(f"| {name} | {version} | {word} | {formats} | {reason} |")
    total = sum(counts.values())
    head = HEAD.format(
        total=total,
        parsed=total - counts["can't be read"],
        runs=counts["yes"],
        asks=counts["asks"],
        no=counts["no"] + counts["can't be read"],
    )
    OUT.write_text(head + "\n".join(rows) + "\n", "utf-8")


def judge(file: Path) -> tuple[str, str, str]:
    """Return whether a model runs, its weights formats, and why it doesn't."""
    try:
        package = parse_description(file)
    except ModelError as error:
        return "can't be read", "", str(error).replace(str(file), "It")
    result = check_runs(package)
    if not result.runs:
        return "no", ", ".join(package.weights), result.reason
    asks = set(result.formats) <= set(result.asking)
    return "asks" if asks else "yes", ", ".join(result.formats), result.note


if __name__ == "__main__":
    main()
