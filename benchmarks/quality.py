"""How well default settings learn, on images that training never saw.

    python benchmarks/quality.py neurons DATA/lf2d-isl-neurons --steps 300
    python benchmarks/quality.py wells DATA/mc2d-u2os-fkhr-dna --steps 300

``neurons``: 4 phase planes to DAPI, MAP2 and NFH (Christiansen et al. 2018), tiles of
rows 0 to 2 train, row 3 tests. ``wells``: FKHR-GFP to DNA (BBBC013), the first 8 wells
train, the last 3 test. The model stands beside three floors: the mean of the training
targets, and the best linear mapping of the inputs at the same pixel and in a
neighbourhood of 7 x 7.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import imageio.v3
import numpy as np
import torch

from napari_im2im.api import predict
from napari_im2im.events import Event, MetricsLogged, NewBest, TrainingFinished
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.metrics import image_metrics

Pair = tuple[Image, Image]


def neurons(folder: Path) -> tuple[list[Pair], list[Pair]]:
    def row(number: int) -> list[Pair]:
        return [
            (
                open_image(path, axes="cyx"),
                open_image(
                    path.with_name(
                        path.name.replace("input_phase_zyx", "target_dapi-map2-nfh_cyx")
                    ),
                    axes="cyx",
                ),
            )
            for path in sorted(folder.glob(f"tile_r{number}*_input_*.tif"))
        ]

    return [pair for number in range(3) for pair in row(number)], row(3)


def wells(folder: Path) -> tuple[list[Pair], list[Pair]]:
    pairs = [
        (
            open_image(path),
            open_image(path.with_name(path.name.replace("gfp", "dna"))),
        )
        for path in sorted(folder.glob("*_gfp.tif"))
    ]
    return pairs[:8], pairs[8:]


SETS = {
    "neurons": (neurons, ("DAPI", "MAP2", "NFH")),
    "wells": (wells, ("DNA",)),
}


def read(image: Image) -> np.ndarray:
    return image.read(axes=("channel", "y", "x")).astype(np.float64)


def neighbourhood(pixels: np.ndarray, radius: int) -> np.ndarray:
    """Return what surrounds each pixel, and 1: ``(pixel, feature)``."""
    margin = ((0, 0), (radius, radius), (radius, radius))
    size = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(pixels, margin, mode="reflect"), (size, size), axis=(1, 2)
    )
    features = windows.transpose(1, 2, 0, 3, 4).reshape(pixels[0].size, -1)
    return np.c_[features, np.ones(len(features))]


def linear_floor(
    training: list[Pair], inputs: list[np.ndarray], radius: int
) -> list[np.ndarray]:
    gram, moment = 0.0, 0.0
    for source, target in training:
        features = neighbourhood(read(source), radius)
        values = read(target).reshape(len(read(target)), -1).T
        gram, moment = gram + features.T @ features, moment + features.T @ values
    weights = np.linalg.lstsq(gram, moment, rcond=None)[0]
    return [
        (neighbourhood(pixels, radius) @ weights).T.reshape(-1, *pixels.shape[1:])
        for pixels in inputs
    ]


def mean_floor(training: list[Pair], inputs: list[np.ndarray]) -> list[np.ndarray]:
    targets = np.concatenate(
        [read(t).reshape(len(read(t)), -1) for _, t in training], axis=1
    )
    mean = targets.mean(axis=1)[:, None, None]
    return [np.broadcast_to(mean, (len(mean), *x.shape[1:])) for x in inputs]


def watch(event: Event, started: float) -> None:
    if isinstance(event, MetricsLogged) and "pcc" in event.values:
        values = ", ".join(f"{k} {v:.3f}" for k, v in list(event.values.items())[:7])
        seconds = time.monotonic() - started
        print(f"{seconds:6.0f} s, step {event.step}: {values}", flush=True)
    elif isinstance(event, NewBest):
        print(f"         best so far: {event.value:.4f}", flush=True)


def train(training: list[Pair], options: argparse.Namespace) -> Path:
    config = TrainConfig.model_validate(
        {
            "name": options.set,
            "output": options.out,
            "effort": {"steps": options.steps, "seconds": options.seconds},
            "seed": options.seed,
            "device": options.device,
            "network": {"size": options.size},
        }
    )
    started = time.monotonic()
    for event in train_events(config, training):
        watch(event, started)
    assert isinstance(event, TrainingFinished)
    print(f"{event.reason} in {time.monotonic() - started:.0f} s: {event.metrics}")
    return event.package


def score(
    name: str,
    predictions: list[np.ndarray],
    testing: list[Pair],
    channels: tuple[str, ...],
    span: list[float],
) -> str:
    """Return a row of the table: PCC and SSIM of each channel, mean of the images."""
    rows = []
    for prediction, (_, target) in zip(predictions, testing, strict=True):
        truth = read(target)
        shaped = np.array(prediction, np.float64).reshape(truth.shape)
        values = image_metrics(
            torch.from_numpy(shaped)[None],
            torch.from_numpy(truth)[None],
            span,
            channels,
        )
        suffixes = [f" {c}" for c in channels] if len(channels) > 1 else [""]
        rows.append([values[m + s] for s in suffixes for m in ("pcc", "ssim")])
    return f"| {name} | " + " | ".join(f"{v:.3f}" for v in np.mean(rows, 0)) + " |"


def save_picture(
    path: Path, predictions: list[np.ndarray], testing: list[Pair]
) -> None:
    """Write the first input channel, then target and prediction of each channel."""
    rows = []
    for prediction, (source, target) in zip(predictions, testing, strict=True):
        truth = read(target)
        low, high = np.percentile(read(source)[0], (1, 99))
        panels = [(read(source)[0] - low) / (high - low)]
        for guess, true in zip(prediction.reshape(truth.shape), truth, strict=True):
            low, high = np.percentile(true, (1, 99.8))
            panels += [(image - low) / (high - low) for image in (true, guess)]
        rows.append(np.hstack(panels))
    picture = (255 * np.clip(np.vstack(rows), 0, 1)).astype(np.uint8)
    imageio.v3.imwrite(path, picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("data", type=Path, help="folder of the images")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", default="medium", help="small, medium or large")
    parser.add_argument("--out", type=Path, help="folder for the run")
    parser.add_argument("--package", type=Path, help="score this model, don't train")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    load, channels = SETS[options.set]
    training, testing = load(options.data)
    package = options.package or train(training, options)
    predictions = [np.asarray(predict(package, source)) for source, _ in testing]
    inputs = [read(source) for source, _ in testing]
    targets = np.concatenate(
        [read(t).reshape(len(channels), -1) for _, t in training], axis=1
    )
    span = np.ptp(targets, axis=1).tolist()
    print("| | " + " | ".join(f"{c} PCC | {c} SSIM" for c in channels) + " |")
    print("|---" * (1 + 2 * len(channels)) + "|")
    for name, results in (
        ("mean of the targets", mean_floor(training, inputs)),
        ("linear, same pixel", linear_floor(training, inputs, 0)),
        ("linear, 7 × 7", linear_floor(training, inputs, 3)),
        ("napari-im2im", predictions),
    ):
        print(score(name, results, testing, channels, span))
    if options.picture:
        save_picture(options.picture, predictions, testing)


if __name__ == "__main__":
    main()
