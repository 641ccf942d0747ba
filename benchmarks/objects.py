"""How well objects are separated, in images that training never saw.

    python benchmarks/objects.py nuclei DATA/seg2d-dsb2018-nuclei --seconds 180
    python benchmarks/objects.py ovule DATA/seg3d-mixed-volumes --seconds 180

``nuclei``: fluorescence of the Data Science Bowl 2018 (Caicedo et al. 2019), every
fourth image tests. ``ovule``: two noisy stacks of nuclei of PlantSeg, one trains, the
other tests. Both ways to separate objects stand beside scikit-image: Gauss, Otsu's
threshold, and a watershed from the peaks of the distance to the background, with the
smoothing and the distance between peaks that do best on the training images.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from pathlib import Path

import imageio.v3
import numpy as np
from scipy import ndimage
from skimage.color import label2rgb
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.segmentation import find_boundaries, watershed

from napari_im2im.api import predict
from napari_im2im.events import MetricsLogged, TrainingFinished
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.inference.objects.scores import ObjectScores, score_objects
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events

Pair = tuple[Image, Image]

COLUMNS = ("ap", "ap 0.5", "ap 0.7", "ap 0.9", "f1 0.5")
TASKS = ("instances", "embedding")


def nuclei(folder: Path) -> tuple[list[Pair], list[Pair]]:
    pairs = []
    for path in sorted(folder.glob("*_image.png")):
        pixels = imageio.v3.imread(path)[..., :3]
        if (pixels.max(axis=-1) != pixels.min(axis=-1)).any():
            continue  # stained tissue
        labels = open_image(
            path.with_name(path.name.replace("image.png", "labels.tif"))
        )
        grey = Image(pixels[..., 0], ("y", "x"), name=path.stem)
        pairs.append((grey, Image(labels.read(axes=("y", "x")), ("y", "x"))))
    training = [pair for number, pair in enumerate(pairs) if number % 4]
    return training, pairs[::4]


def ovule(folder: Path) -> tuple[list[Pair], list[Pair]]:
    import h5py

    def volume(name: str) -> list[Pair]:
        with h5py.File(folder / f"plantseg_nuclei_{name}_mini.h5") as file:
            scale = dict(zip("zyx", file["raw"].attrs["element_size_um"], strict=True))
            raw, labels = (file[key][:] for key in ("raw", "label"))
        units = dict.fromkeys("zyx", "micrometer")
        return [
            (
                Image(raw, ("z", "y", "x"), scale, units, name=name),
                Image(labels.astype(np.int32), ("z", "y", "x"), scale, units),
            )
        ]

    return volume("1135"), volume("1136")


SETS = {"nuclei": nuclei, "ovule": ovule}


def floor(image: Image, sigma: float, apart: int) -> np.ndarray:
    spacing = [image.scale.get(axis, 1.0) for axis in image.axes]
    relative = np.array(spacing) / min(spacing)
    smooth = gaussian(image.read().astype(np.float32), sigma / relative)
    mask = smooth > threshold_otsu(smooth)
    depth = ndimage.distance_transform_edt(mask, sampling=relative)
    peaks = peak_local_max(depth, min_distance=apart, labels=mask.astype(int))
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-depth, seeds, mask=mask)


def best_floor(training: list[Pair]) -> tuple[float, int]:
    def precision(settings: tuple[float, int]) -> float:
        scores = [
            score_objects(t.read(), floor(i, *settings)) for i, t in training[:12]
        ]
        return float(np.mean([score.mean_average_precision for score in scores]))

    return max(product((1.0, 2.0, 4.0), (3, 6, 10, 15)), key=precision)


def train(task: str, training: list[Pair], options: argparse.Namespace) -> Path:
    config = TrainConfig.model_validate(
        {
            "name": f"{options.set}-{task}",
            "task": task,
            "output": options.out,
            "effort": {"steps": options.steps, "seconds": options.seconds},
            "seed": options.seed,
            "device": options.device,
            "network": {"size": options.size},
            "batch_size": options.batch,
        }
    )
    started = time.monotonic()
    for event in train_events(config, training):
        if isinstance(event, MetricsLogged) and "ap 0.5" in event.values:
            seconds = time.monotonic() - started
            values = ", ".join(f"{k} {v:.3f}" for k, v in event.values.items())
            print(f"{seconds:6.0f} s, step {event.step}: {values}", flush=True)
    assert isinstance(event, TrainingFinished)
    return event.package


def row(name: str, found: list[np.ndarray], testing: list[Pair]) -> str:
    """Return a row of the table: means over the images, splits and merges in all."""
    scores: list[ObjectScores] = [
        score_objects(truth.read(), labels)
        for labels, (_, truth) in zip(found, testing, strict=True)
    ]
    means = [np.mean([s.values()[column] for s in scores]) for column in COLUMNS]
    counts = [sum(getattr(s, key) for s in scores) for key in COUNTS]
    cells = [f"{mean:.3f}" for mean in means] + [str(count) for count in counts]
    return f"| {name} | " + " | ".join(cells) + " |"


COUNTS = ("truth", "predicted", "split", "merged")


def save_picture(
    path: Path, columns: list[list[np.ndarray]], testing: list[Pair]
) -> None:
    """Write the outlines of objects on images: a row for each image, truth first."""
    rows = []
    for number, (image, truth) in enumerate(testing[:6]):
        pixels = image.read()
        middle = (len(pixels) // 2,) if pixels.ndim == 3 else ()
        low, high = np.percentile(pixels[middle], (1, 99.8))
        grey = np.clip((pixels[middle] - low) / (high - low), 0, 1)
        panels = []
        for labels in (truth.read(), *(column[number] for column in columns)):
            colored = label2rgb(labels[middle], grey, alpha=0.3, bg_label=0)
            colored[find_boundaries(labels[middle], mode="inner")] = (1, 1, 0)
            panels.append(colored[:256, :256])
        rows.append(np.pad(np.hstack(panels), ((0, 4), (0, 0), (0, 0))))
    width = max(each.shape[1] for each in rows)
    padded = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows]
    imageio.v3.imwrite(path, (255 * np.vstack(padded)).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("data", type=Path, help="folder of the images")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", default="medium", help="small, medium or large")
    parser.add_argument("--batch", type=int, help="patches in a step")
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--out", type=Path, help="folder for the runs")
    parser.add_argument("--packages", nargs="+", type=Path, help="score these instead")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    training, testing = SETS[options.set](options.data)
    print(f"{len(training)} images train, {len(testing)} test.", flush=True)
    packages = options.packages or [
        train(task, training, options) for task in options.tasks
    ]
    settings = best_floor(training)
    columns = [[floor(image, *settings) for image, _ in testing]]
    names = [f"scikit-image, sigma {settings[0]:g}, peaks {settings[1]} apart"]
    for task, package in zip(options.tasks, packages, strict=True):
        columns.append([np.asarray(predict(package, image)) for image, _ in testing])
        names.append(f"napari-im2im, {task}")
    print("| | " + " | ".join((*COLUMNS, *COUNTS)) + " |")
    print("|---" * (1 + len(COLUMNS) + len(COUNTS)) + "|")
    for name, found in zip(names, columns, strict=True):
        print(row(name, found, testing))
    if options.picture:
        save_picture(options.picture, columns, testing)


if __name__ == "__main__":
    main()
