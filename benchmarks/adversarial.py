"""What a discriminator changes, and what is learned without pairs, on real images.

    python benchmarks/adversarial.py DATA/mc2d-u2os-fkhr-dna --out RUNS

FKHR-GFP to DNA (BBBC013). The same small network learns for the same time with L1
alone and against a discriminator (pix2pix), from 8 wells; and without pairs (CycleGAN)
from the GFP of 4 of them and the DNA of the 4 others. All are scored on the last 3
wells, which no training sees, and drawn side by side in RUNS/comparison.png.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quality_floors import read
from quality_sets import beside

from napari_im2im.api import predict
from napari_im2im.events import MetricsLogged, TrainingFinished
from napari_im2im.images.image import Image
from napari_im2im.images.panels import Panel, grey, write_panels
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.metrics import image_metrics
from napari_im2im.training.tasks.unpaired import texture_distance

Pair = tuple[Image, Image]

_SHOWN = 192
"""Pixels of a test image that are drawn."""

DISCRIMINATOR = {"channels": 32, "layers": 2}
TRAININGS: dict[str, dict[str, Any]] = {
    "L1": {},
    "L1 and discriminator": {
        "adversarial": {"weight": 0.05, **DISCRIMINATOR},
        "optimizer": {"learning_rate": 5e-4},
    },
    "without pairs": {
        "task": "unpaired",
        "adversarial": DISCRIMINATOR,
        "optimizer": {"learning_rate": 5e-4, "ema": 0.99},
    },
}


def train(
    name: str, pairs: list[Pair], options: argparse.Namespace
) -> tuple[Path, int]:
    """Return the package that is kept, and the number of steps."""
    unpaired = TRAININGS[name].get("task") == "unpaired"
    if unpaired:
        half = len(pairs) // 2
        pairs = [
            (source, target)
            for (source, _), (_, target) in zip(pairs[:half], pairs[half:], strict=True)
        ]
    effort = {"seconds": options.seconds * (2 if unpaired else 1)}
    if options.steps is not None:
        effort = {"steps": options.steps}
    config = TrainConfig.model_validate(
        {
            "name": name.replace(" ", "-"),
            "output": options.out,
            "effort": effort,
            "patch": {"y": options.patch, "x": options.patch},
            "batch_size": 4,
            "network": {"size": "small"},
            "device": "cpu",
            **TRAININGS[name],
        }
    )
    steps = 0
    for event in train_events(config, pairs):
        if isinstance(event, MetricsLogged):
            steps = event.step
    assert isinstance(event, TrainingFinished)
    return event.package, steps


def row(name: str, predictions: list[np.ndarray], testing: list[Pair]) -> str:
    """Return PCC, SSIM, mean absolute error and texture distance; means of images."""
    rows = []
    for prediction, (_, target) in zip(predictions, testing, strict=True):
        truth = read(target)
        values = image_metrics(
            torch.from_numpy(prediction.astype(np.float64))[None],
            torch.from_numpy(truth)[None],
            [float(np.ptp(truth))],
        )
        texture = texture_distance(prediction[None], truth[None])
        rows.append([*(values[key] for key in ("pcc", "ssim", "mae")), texture])
    pcc, ssim, error, texture = np.mean(rows, axis=0)
    return f"| {name} | {pcc:.3f} | {ssim:.3f} | {error:.2f} | {texture:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the images")
    parser.add_argument(
        "--seconds", type=float, default=145, help="without pairs twice"
    )
    parser.add_argument("--steps", type=int, help="default: by the time")
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    options = parser.parse_args()
    wells = [pair[:2] for pair in beside(options.data, "gfp", "dna")]
    pairs, testing = wells[:8], wells[8:]
    corner = (slice(0, _SHOWN), slice(0, _SHOWN))
    drawn = [
        [read(source)[0][corner], read(target)[0][corner]] for source, target in testing
    ]
    print("| | PCC | SSIM | mean absolute error | texture distance |")
    print("|---|---|---|---|---|")
    for name in TRAININGS:
        started = time.monotonic()
        package, steps = train(name, pairs, options)
        title = f"{name}, {steps} steps, {time.monotonic() - started:.0f} s"
        found = []
        for (source, target), panels in zip(testing, drawn, strict=True):
            image = Image(read(source), ("channel", "y", "x"))
            result = np.asarray(predict(package, image)).reshape(read(target).shape)
            found.append(result)
            panels.append(result[0][corner])
        print(row(title, found, testing), flush=True)
        limits = [np.percentile(panels[1], (1, 99.8)).tolist() for panels in drawn]
        names = ("GFP", "DNA", *TRAININGS)
        rows = [
            [
                Panel(names[i], grey(pixels, None if i == 0 else limit))
                for i, pixels in enumerate(panels)
            ]
            for panels, limit in zip(drawn, limits, strict=True)
        ]
        write_panels(options.out / "comparison.png", rows)


if __name__ == "__main__":
    main()
