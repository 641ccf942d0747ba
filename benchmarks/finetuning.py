"""Whether going on from a model that learned something else saves steps and images.

    python benchmarks/finetuning.py DATA/mc2d-u2os-fkhr-dna --parent MODEL
    python benchmarks/finetuning.py DATA/mc2d-u2os-fkhr-dna --wells 4 6 7
    python benchmarks/finetuning.py DATA/mc2d-u2os-fkhr-dna --wells 4 6 7 --pretrain 300

FKHR-GFP to DNA (BBBC013), scored on the last 3 wells, which no training sees. The
parent is MODEL, a package such as the bundled one, or a model of the wells 0, 1, 2, 3
and 5, trained first, or with ``--pretrain`` a network that has learned so many steps to
fill hidden blocks of the inputs of the first 8 wells. For each number of steps the same
network learns from the parent's weights and from scratch, from the same images and
patches.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from quality import Pair, read, wells

from napari_im2im.api import predict
from napari_im2im.events import NewBest, TrainingFinished
from napari_im2im.images.image import Image
from napari_im2im.models.package import load_package
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.metrics import image_metrics

PARENT_WELLS = (0, 1, 2, 3, 5)
"""Wells of both states of the cells: the stain in the nucleus, and around it."""


def train(
    name: str,
    pairs: list[Pair],
    steps: int,
    options: argparse.Namespace,
    **values: object,
) -> tuple[Path, int]:
    """Return the best package and the step that it is of."""
    config = TrainConfig.model_validate(
        {
            "name": name,
            "output": options.out,
            "effort": {"steps": steps},
            "seed": options.seed,
            "device": options.device,
            "network": {"size": "small"},
            "data": {"validation_fraction": options.validation},
            **values,
        }
    )
    best = 0
    for event in train_events(config, pairs):
        if isinstance(event, NewBest):
            best = event.step
    assert isinstance(event, TrainingFinished)
    return event.package, best


def results(package: Path, testing: list[Pair]) -> list[np.ndarray]:
    """Predict; a parent that reads more channels gets the image for each of them."""
    (spec,) = load_package(package).inputs
    channels = spec.axis("channel").size.size
    found = []
    for source, target in testing:
        pixels = np.repeat(read(source), channels, axis=0).astype(np.float32)
        result = predict(package, Image(pixels, ("channel", "y", "x")))
        found.append(np.asarray(result).reshape(-1, *read(target).shape)[0])
    return found


def row(name: str, package: Path, testing: list[Pair], span: float) -> str:
    """Return PCC, SSIM and mean absolute error, mean of the images."""
    rows = []
    for prediction, (_, target) in zip(results(package, testing), testing, strict=True):
        values = image_metrics(
            torch.from_numpy(prediction.astype(np.float64))[None],
            torch.from_numpy(read(target))[None],
            [span],
            ("DNA",),
        )
        rows.append([values[key] for key in ("pcc", "ssim", "mae")])
    pcc, ssim, error = np.mean(rows, axis=0)
    return f"| {name} | {pcc:.3f} | {ssim:.3f} | {error:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the images")
    parser.add_argument("--parent", type=Path, help="package; default: trained first")
    parser.add_argument("--parent-steps", type=int, default=200)
    parser.add_argument("--pretrain", type=int, help="steps on inputs alone")
    parser.add_argument("--wells", type=int, nargs="+", default=list(range(8)))
    parser.add_argument("--steps", type=int, nargs="+", default=[40, 80])
    parser.add_argument("--validation", type=float, default=0.25, help="part held out")
    parser.add_argument("--only", choices=("parent", "scratch"), help="one of both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="folder for the runs")
    options = parser.parse_args()
    pairs, testing = wells(options.data)
    chosen = [pairs[number] for number in options.wells]
    span = float(np.ptp(np.concatenate([read(t).ravel() for _, t in pairs])))
    parent = options.parent
    if options.pretrain:
        alone = [(source, source) for source, _ in pairs]
        parent, _ = train("pretrained", alone, options.pretrain, options, task="masked")
    elif parent is None:
        others = [pairs[number] for number in PARENT_WELLS]
        parent, _ = train("parent", others, options.parent_steps, options)
        print(parent, flush=True)
    print("| | PCC | SSIM | mean absolute error |\n|---|---|---|---|")
    if options.only != "scratch" and not options.pretrain:
        print(row("parent as it is", parent, testing, span), flush=True)
    starts = {"parent": {"start_from": parent}, "scratch": {}}
    for name, start in starts.items():
        if options.only not in (None, name):
            continue
        for steps in options.steps:
            started = time.monotonic()
            package, best = train(f"{name}-{steps}", chosen, steps, options, **start)
            seconds = time.monotonic() - started
            title = f"from {name}, {steps} steps (best: {best}; {seconds:.0f} s)"
            print(row(title, package, testing, span), flush=True)


if __name__ == "__main__":
    main()
