"""How well default settings segment, on pixels that training never saw.

    python benchmarks/segmentation.py myelin DATA/em-axon-myelin --steps 300
    python benchmarks/segmentation.py nuclei DATA/seg2d-dsb2018-nuclei --steps 300

``myelin``: background, myelin and axons in a scanning electron micrograph
(axondeepseg): the left 1,000 columns train, the right 480 test. ``nuclei``: nuclei
against background in fluorescence (Caicedo et al. 2019), every fourth image tests.
The floors are the majority class of training, and the intensity thresholds of Otsu with
the assignment of classes that is best on the training images.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import imageio.v3
import numpy as np
import torch
from skimage.filters import threshold_multiotsu

from napari_im2im.api import predict
from napari_im2im.events import MetricsLogged, TrainingFinished
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.metrics import class_metrics

Pair = tuple[Image, Image]


def grey(path: Path) -> Image:
    """Return the first channel of an image."""
    image = open_image(path)
    if "channel" in image.axes:
        image = image.select("channel", 0)
    return Image(image.read(), image.axes, image.scale, image.units, name=image.name)


def myelin(folder: Path) -> tuple[list[Pair], list[Pair]]:
    pair = grey(folder / "sem_full_image.png"), grey(folder / "sem_full_mask.png")
    columns = {"left": slice(0, 1000), "right": slice(1061, 1541)}
    left, right = (
        tuple(replace(i.crop({"x": part}), name=f"{i.name} {side}") for i in pair)
        for side, part in columns.items()
    )
    return [left], [right]


def nuclei(folder: Path) -> tuple[list[Pair], list[Pair]]:
    pairs = []
    for path in sorted(folder.glob("*_image.png")):
        colors = imageio.v3.imread(path)[..., :3]
        if (colors == colors[..., :1]).all():  # else stained tissue
            labels = path.with_name(path.name.replace("image.png", "labels.tif"))
            pairs.append((grey(path), grey(labels)))
    training = [pair for number, pair in enumerate(pairs) if number % 4]
    return training, pairs[::4]


SETS: dict[str, tuple[Any, dict[str, Any]]] = {
    "myelin": (myelin, {"classes": ["background", "myelin", "axon"]}),
    "nuclei": (nuclei, {"foreground": True, "classes": ["background", "nucleus"]}),
}


def truth(pair: Pair, values: list[int]) -> np.ndarray:
    labels = pair[1].read()
    return np.searchsorted(values, np.minimum(labels, values[-1]))


def thresholded(image: Image, classes: int) -> np.ndarray:
    pixels = image.read()
    return np.digitize(pixels, threshold_multiotsu(pixels, classes))


def otsu_floor(
    training: list[Pair], testing: list[Pair], values: list[int]
) -> list[np.ndarray]:
    """Return classes by brightness, in the order that fits the training best."""
    count = len(values)

    def right(order: tuple[int, ...]) -> int:
        return sum(
            int(
                (
                    np.array(order)[thresholded(pair[0], count)] == truth(pair, values)
                ).sum()
            )
            for pair in training
        )

    best = np.array(max(permutations(range(count)), key=right))
    return [best[thresholded(pair[0], count)] for pair in testing]


def majority_floor(
    training: list[Pair], testing: list[Pair], values: list[int]
) -> list[np.ndarray]:
    counts = sum(
        np.bincount(truth(pair, values).ravel(), minlength=len(values))
        for pair in training
    )
    return [np.full(pair[0].shape, int(np.argmax(counts))) for pair in testing]


def train(
    training: list[Pair], semantic: dict[str, Any], options: argparse.Namespace
) -> Path:
    values: dict[str, Any] = {
        "name": options.set,
        "task": "semantic",
        "semantic": semantic,
        "output": options.out,
        "effort": {"steps": options.steps, "seconds": options.seconds},
        "seed": options.seed,
        "device": options.device,
        "network": {"size": options.size},
        "loss": dict.fromkeys(options.loss, 1.0),
    }
    started = time.monotonic()
    for event in train_events(TrainConfig.model_validate(values), training):
        if isinstance(event, MetricsLogged) and "dice" in event.values:
            shown = {
                k: v for k, v in event.values.items() if "dice" in k or "loss" in k
            }
            text = ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
            seconds = time.monotonic() - started
            print(f"{seconds:6.0f} s, step {event.step}: {text}", flush=True)
    assert isinstance(event, TrainingFinished)
    print(f"{event.reason} in {time.monotonic() - started:.0f} s: {event.metrics}")
    return event.package


def score(
    name: str, guesses: list[np.ndarray], truths: list[np.ndarray], classes: list[str]
) -> str:
    """Return a row of the table: Dice and IoU of each class over all test pixels."""
    flat = [np.concatenate([a.ravel() for a in arrays]) for arrays in (guesses, truths)]
    values = class_metrics(*map(torch.from_numpy, flat), classes)
    suffixes = [f" {c}" for c in classes[1:]] if len(classes) > 2 else [""]
    numbers = [values.get(m + s, 0.0) for s in suffixes for m in ("dice", "iou")]
    return f"| {name} | " + " | ".join(f"{v:.3f}" for v in numbers) + " |"


def save_picture(
    path: Path, guesses: list[np.ndarray], testing: list[Pair], values: list[int]
) -> None:
    """Write image, truth and prediction of the test images, one below the other."""
    rows = []
    for guess, pair in zip(guesses, testing, strict=True):
        pixels = pair[0].read().astype(float)
        shown = [
            guess * 255 // (len(values) - 1) for guess in (truth(pair, values), guess)
        ]
        rows.append(np.hstack([255 * pixels / pixels.max(), *shown])[:256])
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]))) for row in rows[:6]]
    imageio.v3.imwrite(path, np.vstack(padded).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("data", type=Path, help="folder of the images")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", default="medium", help="small, medium or large")
    parser.add_argument("--loss", nargs="*", default=[], help="default: the task's")
    parser.add_argument("--out", type=Path, help="folder for the run")
    parser.add_argument("--package", type=Path, help="score this model, don't train")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    load, semantic = SETS[options.set]
    training, testing = load(options.data)
    package = options.package or train(training, semantic, options)
    classes = semantic["classes"]
    values = [0, 1] if len(classes) == 2 else [0, 128, 255]
    truths = [truth(pair, values) for pair in testing]
    found = [np.asarray(predict(package, image)) for image, _ in testing]
    guesses = [
        np.searchsorted(values, labels.reshape(t.shape))
        for labels, t in zip(found, truths, strict=True)
    ]
    names = [f"{c} " for c in classes[1:]] if len(classes) > 2 else [""]
    print("| | " + " | ".join(f"{n}Dice | {n}IoU" for n in names) + " |")
    print("|---" * (1 + 2 * len(names)) + "|")
    for name, results in (
        ("majority", majority_floor(training, testing, values)),
        ("Otsu", otsu_floor(training, testing, values)),
        ("napari-im2im", guesses),
    ):
        print(score(name, results, truths, classes))
    if options.picture:
        save_picture(options.picture, guesses, testing, values)


if __name__ == "__main__":
    main()
