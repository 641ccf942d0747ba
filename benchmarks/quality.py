"""How well default settings learn, on images that training never saw.

    python benchmarks/quality.py flow DATA/lf2d-ifc-cells --seconds 180
    python benchmarks/quality.py nuclei DATA/seg2d-dsb2018-nuclei --seconds 180 \
        --tools napari-im2im BiaPy --biapy PYTHON

A set of `quality_sets.py` or `quality_noisy_sets.py` is learned by some tools of
`quality_tools.py`, each for the same time, and stands in a table beside its floors
(`quality_floors.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import imageio.v3
import numpy as np
from quality_floors import FLOORS, classes, read
from quality_noisy_sets import NOISY_SETS
from quality_scores import SCORES, table
from quality_sets import SETS, ImageSet, pooled
from quality_tools import TOOLS
from skimage.color import label2rgb
from skimage.segmentation import find_boundaries


def shown(pixels: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return the middle plane of the first channel, from black to white."""
    low, high = np.percentile(like, (1, 99.8))
    plane = pixels.reshape(-1, *pixels.shape[-2:])
    plane = plane[len(plane) // 2].astype(float)
    return np.clip((plane - low) / max(high - low, 1e-9), 0, 1)


def panel(found: ImageSet, result: np.ndarray, number: int) -> np.ndarray:
    """Return a result, or the truth, as colours."""
    pair = found.testing[number]
    if found.task in ("image", "noise2void"):
        grey = shown(np.squeeze(result), read(pair.target))
        return np.dstack([grey] * 3)
    labels = np.squeeze(result).astype(int)
    labels = labels[len(labels) // 2] if labels.ndim == 3 else labels
    grey = shown(read(pair.input), read(pair.input))
    colored = label2rgb(labels, grey, alpha=0.3, bg_label=0)
    colored[find_boundaries(labels, mode="inner")] = (1, 1, 0)
    return colored


def save_picture(path: Path, found: ImageSet, columns: list[list[np.ndarray]]) -> None:
    """Write input, truth and results: a row for each test image."""
    rows = []
    for number, pair in enumerate(found.testing[:4]):
        source = np.dstack([shown(read(pair.input), read(pair.input))] * 3)
        truth = pair.target.read()
        if found.task == "semantic":
            truth = classes(found, pair.target.read())
        panels = [
            panel(found, each, number)
            for each in (truth, *(c[number] for c in columns))
        ]
        row = np.hstack([each[:256, :256] for each in (source, *panels)])
        rows.append(np.pad(row, ((0, 4), (0, 0), (0, 0))))
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows]
    imageio.v3.imwrite(path, (255 * np.vstack(rows)).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sets = SETS | NOISY_SETS
    parser.add_argument("set", choices=sets)
    parser.add_argument("data", type=Path, help="folder of the images")
    parser.add_argument("--tools", nargs="*", default=["napari-im2im"], choices=TOOLS)
    parser.add_argument("--seconds", type=float, help="of each training")
    parser.add_argument("--steps", type=int, help="of ours, instead of seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--config", type=json.loads, default={}, help="JSON: settings of our training"
    )
    parser.add_argument(
        "--pooled", action="store_true", help="let ours choose what it holds out"
    )
    parser.add_argument("--biapy", default=sys.executable, help="Python that has BiaPy")
    parser.add_argument("--out", type=Path, help="folder for our run")
    parser.add_argument("--no-floors", action="store_true")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    found = sets[options.set](options.data)
    if options.pooled:
        found = pooled(found)
    sizes = [len(p) for p in (found.training, found.validation, found.testing)]
    print("{} train, {} held out, {} test".format(*sizes), flush=True)
    results = {} if options.no_floors else FLOORS[found.task](found)
    for name in options.tools:
        results[name] = TOOLS[name](found, options)
    rows = {name: SCORES[found.task](found, each) for name, each in results.items()}
    print(table(rows))
    if options.picture:
        save_picture(options.picture, found, list(results.values()))


if __name__ == "__main__":
    main()
