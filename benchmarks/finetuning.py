"""Whether going on from a model that learned something else saves steps and images.

    python benchmarks/finetuning.py DATA/mc2d-u2os-fkhr-dna --parent MODEL
    python benchmarks/finetuning.py DATA/mc2d-u2os-fkhr-dna --pairs 2
    python benchmarks/finetuning.py DATA/mc2d-u2os-fkhr-dna --wells 4 6 7 --pretrain 300

FKHR-GFP to DNA (BBBC013), tested on wells that neither the training nor its parent
saw: each of the first 8 wells tests once, two at a time. A training has the two wells
beside them (``--pairs 2``), or all others (``--pairs 9``). With ``--wells`` these train
and the last 3 test. The parent is MODEL, a package such as the bundled one, or one
trained here first, on the wells that are left, or with ``--pretrain`` a network that
has learned so many steps to fill hidden blocks of the inputs that don't test. The same
network learns from it and from scratch, from the same patches; the test wells are
scored after each validation with the model that stopping there would leave, which is
the best one for what is held out of the training wells.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from quality_floors import read

from napari_im2im.api import predict
from napari_im2im.events import MetricsLogged, NewBest, TrainingFinished
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.models.package import load_package
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.metrics import image_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

Pair = tuple[Image, Image]

PARENT_WELLS = [0, 1, 2, 3, 5]
"""Wells of both states of the cells: the stain in the nucleus, and around it."""

SPAN = 255.0
"""Data range of SSIM: that of 8 bits."""

Scores = dict[int, tuple[float, ...]]
"""By step: the loss of what is held out, and PCC, SSIM and error of the test wells."""


def wells(folder: Path) -> list[Pair]:
    return [
        (open_image(path), open_image(path.with_name(path.name.replace("gfp", "dna"))))
        for path in sorted(folder.glob("*_gfp.tif"))
    ]


def parts(
    fold: int, count: int, options: argparse.Namespace
) -> tuple[list[int], list[int], list[int]]:
    """Return the wells that test, that train and that are left for a parent."""
    if options.wells:
        return list(range(8, count)), options.wells, PARENT_WELLS
    tests = [2 * fold, 2 * fold + 1]
    beside = [well ^ 2 for well in tests]
    others = [well for well in range(count) if well not in tests + beside]
    training = (beside + others)[: options.pairs]
    return tests, training, [well for well in others if well not in training]


def train(
    name: str,
    pairs: Sequence[Pair],
    tests: Sequence[Pair],
    steps: int,
    options: argparse.Namespace,
    **values: object,
) -> tuple[Path, Scores]:
    """Return the best package, and what it was after each validation."""
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
    found: Scores = {}
    loss, best = np.nan, ()
    for event in train_events(config, list(pairs)):
        if isinstance(event, MetricsLogged) and "validation_loss" in event.values:
            loss = event.values["validation_loss"]
            found[event.step] = (loss, *best)
        elif isinstance(event, NewBest) and tests:
            best = scores(event.package, tests)
            found[event.step] = (loss, *best)
    assert isinstance(event, TrainingFinished)
    return event.package, found


def scores(package: Path, testing: Sequence[Pair]) -> tuple[float, ...]:
    """Return PCC, SSIM and mean absolute error, mean of the images.

    A parent that reads more channels gets the image for each of them.
    """
    (spec,) = load_package(package).inputs
    channels = spec.axis("channel").size.size
    rows = []
    for source, target in testing:
        pixels = np.repeat(read(source), channels, axis=0).astype(np.float32)
        result = np.asarray(predict(package, Image(pixels, ("channel", "y", "x"))))
        values = image_metrics(
            torch.from_numpy(result.reshape(-1, *read(target).shape)[0])[None].double(),
            torch.from_numpy(read(target))[None],
            [SPAN],
            ("DNA",),
        )
        rows.append([values[key] for key in ("pcc", "ssim", "mae")])
    return tuple(np.mean(rows, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the images")
    parser.add_argument("--parent", type=Path, help="package; default: trained first")
    parser.add_argument("--parent-steps", type=int, default=150)
    parser.add_argument("--pretrain", type=int, help="steps on inputs alone")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--pairs", type=int, default=9, help="wells to train on")
    parser.add_argument("--wells", type=int, nargs="+", help="these train, one fold")
    parser.add_argument("--steps", type=int, nargs="+", default=[40])
    parser.add_argument("--validation", type=float, default=0.25, help="part held out")
    parser.add_argument("--only", choices=("parent", "scratch"), help="one of both")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="folder for the runs")
    options = parser.parse_args()
    pairs = wells(options.data)
    print("| from | fold | step | held-out loss | PCC | SSIM | mean absolute error |")
    print("|---|---|---|---|---|---|---|")
    for fold in options.folds[: 1 if options.wells else None]:
        tests, chosen, left = (
            [pairs[well] for well in part] for part in parts(fold, len(pairs), options)
        )
        starts: dict[str, dict[str, object]] = {"scratch": {}}
        if options.only != "scratch":
            parent = find_parent(left, [p for p in pairs if p not in tests], options)
            if not options.pretrain:
                show("parent as it is", fold, {0: (np.nan, *scores(parent, tests))})
            starts["parent"] = {"start_from": parent}
        for name, start in starts.items():
            for steps in options.steps if options.only in (None, name) else ():
                began = time.monotonic()
                _, found = train(name, chosen, tests, steps, options, **start)
                show(name, fold, found)
                print(f"{time.monotonic() - began:.0f} s", flush=True)


def find_parent(
    left: Sequence[Pair], known: Sequence[Pair], options: argparse.Namespace
) -> Path:
    """Return the package to start from, trained first if none is given."""
    if options.parent is not None:
        return options.parent
    if options.pretrain:
        alone = [(source, source) for source, _ in known]
        steps = options.pretrain
        return train("pretrained", alone, (), steps, options, task="masked")[0]
    return train("related", left, (), options.parent_steps, options)[0]


def show(name: str, fold: int, found: Scores) -> None:
    for step, (loss, *values) in found.items():
        texts = " | ".join(f"{value:.3f}" for value in values)
        print(f"| {name} | {fold} | {step} | {loss:.3f} | {texts} |", flush=True)


if __name__ == "__main__":
    main()
